/**
 * What crosses the control socket: HTTP with JSON bodies. Every method of MemberControl is a POST to `/` and its name; the
 * answer is 200 with the result, or 4xx/5xx with an error body. Methods that report steps answer 200 with lines of JSON.
 */
import { z } from "zod";
import {
  holdSchema,
  MEMBER_ROLES,
  MEMBER_STATES,
  memberStatusSchema,
  verifiedMemberSchema,
} from "../status/member-status.ts";
import { CHECK_LEVELS } from "./check-result.ts";
import { type MemberControl, REBUILD_METHODS, REJOIN_STATES } from "./member-control.ts";
import { PROMOTION_READINESS } from "./readiness.ts";
import { RUNBOOK_STEPS, type StepReport } from "./runbook-steps.ts";

/** `sockaddr_un.sun_path` holds 108 bytes on Linux, the last of them a zero. */
export const MAX_SOCKET_PATH_BYTES = 107;

const databases = z.strictObject({ databases: z.array(z.string()).optional() });
const fenceRequest = databases.extend({ dryRun: z.boolean().optional() });
const until = z.union([z.string().regex(/^[0-9a-f]{16}$/), z.iso.datetime()]);
const orderResult = z.object({
  database: z.string(),
  paused: z.boolean(),
  until: z.string().nullable(),
  position: z.string().nullable(),
});
const fenceResult = z.object({ database: z.string(), fenced: z.boolean(), changed: z.boolean() });

const roles = z.array(
  z.object({
    member: z.string(),
    role: z.enum(MEMBER_ROLES).nullable(),
    state: z.enum(MEMBER_STATES),
    epoch: z.int().nullable(),
  }),
);

const checks = z.array(
  z.object({
    check: z.string(),
    level: z.enum(CHECK_LEVELS),
    message: z.string(),
    hint: z.string().nullable(),
  }),
);

const possibleLoss = z.object({
  database: z.string(),
  received: z.string().nullable(),
  time: z.string().nullable(),
  ageSeconds: z.number().nullable(),
  transactions: z.int().nullable(),
  seconds: z.number().nullable(),
  ahead: z.array(z.object({ member: z.string(), transactions: z.int() })),
});

const rebuildMethod = z.enum(REBUILD_METHODS);

const requests = {
  status: z.strictObject({}),
  reload: z.strictObject({}),
  rotate: databases,
  integrate: z.strictObject({ ...databases.shape, until: until.optional(), now: z.boolean().optional() }),
  pause: databases,
  resume: z.strictObject({ ...databases.shape, until: until.optional() }),
  fence: fenceRequest,
  promote: z.strictObject({ force: z.string().optional(), dryRun: z.boolean().optional() }),
  rejoin: z.strictObject({ dryRun: z.boolean().optional(), wait: z.boolean().optional() }),
  switchover: z.strictObject({
    to: z.string(),
    timeoutMs: z.int().min(0).optional(),
    dryRun: z.boolean().optional(),
  }),
  cancelSwitchover: z.strictObject({ force: z.string().optional() }),
  demote: z.strictObject({ dryRun: z.boolean().optional() }),
  validate: z.strictObject({ member: z.string() }),
  noteWork: z.strictObject({
    kind: z.enum(["backup", "restore"]),
    database: z.string(),
    pid: z.int(),
    state: z.enum(["running", "finished", "stopped"]),
    step: z.string(),
    done: z.number(),
    total: z.number(),
    elapsedMs: z.number().min(0),
  }),
  noteDrill: z.strictObject({ ok: z.boolean(), message: z.string(), seconds: z.number() }),
  unfence: fenceRequest,
  verify: databases.extend({ deep: z.boolean().optional() }),
  segments: z.strictObject({
    database: z.string().optional(),
    epoch: z.int().min(1).optional(),
    kind: z.enum(["segment", "snapshot"]).optional(),
    txid: z
      .string()
      .regex(/^[0-9a-f]{16}$/)
      .optional(),
    since: z.iso.datetime().optional(),
    until: z.iso.datetime().optional(),
    limit: z.int().min(1).optional(),
  }),
  purge: z.strictObject({ dryRun: z.boolean().optional() }),
  snapshot: databases,
  ship: z.strictObject({ members: z.array(z.string()).optional() }),
  rebuild: z.strictObject({
    databases: z.array(z.string()).optional(),
    method: rebuildMethod.optional(),
    dryRun: z.boolean().optional(),
  }),
  seed: z.strictObject({ database: z.string(), file: z.string(), replace: z.boolean() }),
  sync: z.strictObject({ members: z.array(z.string()).optional(), timeoutMs: z.int().min(0).optional() }),
};

const results = {
  status: z.object({ mirror: z.string(), answeredBy: z.string(), members: z.array(memberStatusSchema) }),
  reload: z.object({ changed: z.array(z.string()) }),
  rotate: z.array(z.object({ database: z.string(), segments: z.array(z.string()), position: z.string() })),
  integrate: z.array(
    z.object({
      database: z.string(),
      transactions: z.int(),
      position: z.string().nullable(),
      hold: holdSchema.nullable(),
    }),
  ),
  pause: z.array(orderResult),
  resume: z.array(orderResult),
  fence: z.array(fenceResult),
  promote: z.object({
    member: z.string(),
    epoch: z.int(),
    from: z.string(),
    dryRun: z.boolean(),
    steps: z.array(z.string()),
    losses: z.array(possibleLoss),
    databases: z.array(
      z.object({
        database: z.string(),
        position: z.string().nullable(),
        time: z.string().nullable(),
        ageSeconds: z.number().nullable(),
      }),
    ),
    collected: z.array(z.object({ database: z.string(), from: z.string(), transactions: z.int() })),
    untold: z.array(z.string()),
    roles,
  }),
  rejoin: z.object({
    member: z.string(),
    epoch: z.int(),
    operational: z.string(),
    databases: z.array(
      z.object({
        database: z.string(),
        transactions: z.int().nullable(),
        lost: z.string().nullable(),
        fork: z.string().nullable(),
        directory: z.string().nullable(),
        state: z.enum(REJOIN_STATES),
      }),
    ),
    roles,
  }),
  switchover: z.object({
    from: z.string(),
    to: z.string(),
    epoch: z.int(),
    dryRun: z.boolean(),
    interruptedMs: z.int().nullable(),
    roles,
  }),
  cancelSwitchover: z.object({ roles }),
  demote: z.object({
    member: z.string(),
    epoch: z.int(),
    dryRun: z.boolean(),
    steps: z.array(z.string()),
    databases: z.array(z.object({ database: z.string(), end: z.string().nullable() })),
    followers: z.array(
      z.object({
        member: z.string(),
        reachable: z.boolean(),
        lacks: z.record(z.string(), z.int().nullable()),
      }),
    ),
    roles,
  }),
  validate: z.object({
    member: z.string(),
    operational: z.string(),
    ready: z.boolean(),
    switchover: z.object({ ready: z.boolean(), checks }),
    promotion: z.object({
      ready: z.enum(PROMOTION_READINESS),
      checks,
      losses: z.array(possibleLoss),
    }),
  }),
  noteWork: z.null().transform(() => undefined),
  noteDrill: z.null().transform(() => undefined),
  unfence: z.array(fenceResult),
  verify: z.array(
    z.object({
      database: z.string(),
      ok: z.boolean(),
      position: z.string().nullable(),
      pages: z.int(),
      problems: z.array(z.string()),
      members: z.array(verifiedMemberSchema).optional(),
    }),
  ),
  segments: z.array(
    z.object({
      database: z.string(),
      epoch: z.int(),
      kind: z.enum(["segment", "snapshot"]),
      minTxid: z.string(),
      maxTxid: z.string(),
      bytes: z.int(),
      pages: z.int(),
      time: z.string(),
      preApplyChecksum: z.string(),
      postApplyChecksum: z.string(),
      path: z.string(),
    }),
  ),
  purge: z.array(
    z.object({ database: z.string(), removed: z.array(z.string()), removedBytes: z.int(), bytes: z.int() }),
  ),
  snapshot: z.array(
    z.object({ database: z.string(), written: z.object({ pages: z.int(), bytes: z.int() }).nullable() }),
  ),
  ship: z.array(
    z.object({
      member: z.string(),
      databases: z.array(z.object({ database: z.string(), shipped: z.string(), end: z.string() })),
      error: z.object({ code: z.string(), message: z.string(), hint: z.string().nullable() }).nullable(),
    }),
  ),
  rebuild: z.array(
    z.object({
      database: z.string(),
      method: rebuildMethod,
      bytes: z.object({ replay: z.int().nullable(), resync: z.int().nullable(), snapshot: z.int().nullable() }),
      pages: z.int(),
      error: z.string().nullable(),
    }),
  ),
  seed: z.object({ database: z.string(), path: z.string() }),
  sync: z.array(z.object({ member: z.string(), database: z.string(), integrated: z.string().nullable() })),
} satisfies { [M in keyof MemberControl]: z.ZodType<Awaited<ReturnType<MemberControl[M]>>> };

export const controlSchemas = { requests, results } as const;

export const errorBodySchema = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string().nullable(),
  path: z.string().nullable(),
});

export type ErrorBody = z.infer<typeof errorBodySchema>;

/** Media type of an answer in lines. */
export const STEP_LINES = "application/x-ndjson";

/** A line of such an answer: steps as they are done, then the result or the error. */
export type StepLine = { readonly step: StepReport } | { readonly result: unknown } | { readonly error: ErrorBody };

export const stepLineSchema = z.union([
  z.object({ step: z.object({ step: z.enum(RUNBOOK_STEPS), message: z.string() }) }),
  z.object({ error: errorBodySchema }),
  z.object({ result: z.unknown() }),
]);
