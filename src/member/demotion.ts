/**
 * Demotion: the operational member gives its role up, and nobody has it until a member is promoted, this one or another.
 *
 * Guarantee: the state that says so is durable before anything else, and the databases are fenced before the rest is cut; whoever
 * starts with that state fences again. A mirror that has received everything continues it without a loss, and the demoted
 * member then becomes its mirror by itself.
 */
import { setTimeout as delay } from "node:timers/promises";
import { formatPosition, parseTxid } from "../ltx/position.ts";
import { knownRoles, type RoleView } from "./known-roles.ts";
import type { Member } from "./member.ts";
import { MemberError } from "./member-error.ts";
import { cutIfDemoted, fenceIfDeposed } from "./role-change.ts";

const CUT_LIMIT_MS = 60_000;
/** After that the rest is shipped whenever a follower can be reached; nobody waits for it. */
const SHIP_LIMIT_MS = 30_000;
/** Two heartbeats: until then nobody is known not to live. */
const LIFE_SIGN_MS = 5_000;
const LOOK_INTERVAL_MS = 100;

export interface DemoteOptions {
  /** Only say what would be done. */
  readonly dryRun?: boolean;
}

export interface DemoteResult {
  readonly member: string;
  /** In which it was operational. */
  readonly epoch: number;
  readonly dryRun: boolean;
  /** What would be done; empty when it was done. */
  readonly steps: readonly string[];
  /** Where the journals end, `epoch:txid:checksum`; null where one has not begun. */
  readonly databases: readonly { readonly database: string; readonly end: string | null }[];
  /** What the members behind this one lack: none of it when they can take over without a loss. */
  readonly followers: readonly {
    readonly member: string;
    readonly reachable: boolean;
    /** By database, transactions that it has not received as far as is known; null when nothing is known of it. */
    readonly lacks: Readonly<Record<string, number | null>>;
  }[];
  readonly roles: readonly RoleView[];
}

/**
 * Repeatable: a member that is demoted already goes on with what is left to do.
 * @throws MemberError NOT_OPERATIONAL; HookError when beforeFence fails: nothing has changed then; MemberError
 * DEMOTION_UNFINISHED when the databases cannot be fenced, or the rest not be cut, which the daemon goes on trying.
 */
export async function demote(member: Member, { dryRun = false }: DemoteOptions): Promise<DemoteResult> {
  const { context, roles } = member;
  if (!roles.isDemoted) assertOperational(member);
  if (dryRun) return { ...(await resultOf(member)), dryRun, steps: plannedSteps(member) };
  if (!roles.isDemoted) {
    await member.hooks.askToDemote();
    context.steps.done("demote:consented", `nothing is against demoting ${context.self.name}`);
    if (roles.apply({ type: "demote" }) !== null) throw notOperational(member);
    const message = "this member gives its role up: nobody is operational until a member is promoted";
    context.event("warn", "DEMOTED", null, message, { epoch: roles.epoch });
    context.steps.done("demote:begun", `${context.self.name} has given its role up in epoch ${roles.epoch}`);
  }
  await untilCut(member);
  await shipRest(member);
  context.steps.done("demote:shipped", "what can be reached has been sent everything");
  return { ...(await resultOf(member)), dryRun, steps: [] };
}

function assertOperational(member: Member): void {
  if (member.roles.state.role !== "operational") throw notOperational(member);
}

function notOperational({ context, roles }: Member): MemberError {
  const { name } = context.self;
  return new MemberError("NOT_OPERATIONAL", `${name} is ${roles.state.role}: it has no role to give up`, {
    hint: "Look at `afterimage status`: the operational member is demoted by the command there.",
  });
}

function plannedSteps({ context, shippers }: Member): string[] {
  const { name, hooks } = context.self;
  const tell = (event: "beforeFence" | "afterFence" | "roleChanged") =>
    hooks[event] === undefined ? [] : [`run the hook ${event}: ${hooks[event]}`];
  return [
    ...tell("beforeFence"),
    `record that ${name} has given its role up in epoch ${context.epoch}`,
    `make ${[...context.databases.keys()].join(", ") || "its databases"} read-only for applications`,
    "cut what was committed until then",
    `ship it to ${[...shippers.keys()].join(", ") || "nobody: no member follows this one"}`,
    ...tell("afterFence"),
    ...tell("roleChanged"),
  ];
}

/** The daemon does what the state demands; without one it is done here. */
async function untilCut(member: Member): Promise<void> {
  const { roles } = member;
  if (!member.running) {
    if (await fenceIfDeposed(member)) await cutIfDemoted(member);
    member.hooks.settled();
  }
  const untilMs = performance.now() + (member.running ? CUT_LIMIT_MS : 0);
  const isCut = () => roles.state.role !== "demoted" || roles.state.ends !== null;
  while (!isCut() && performance.now() < untilMs) await delay(LOOK_INTERVAL_MS);
  if (isCut()) return;
  throw new MemberError("DEMOTION_UNFINISHED", "the role is given up, and not everything is fenced and cut yet", {
    hint: "Look for FENCE_FAILED among the events, and at `afterimage status`. The daemon tries again by itself.",
  });
}

/** What cannot be reached now gets the rest later, as long as this member's daemon runs. */
async function shipRest(member: Member): Promise<void> {
  const shipping = member.ship({});
  if (!member.running) {
    await shipping;
    return;
  }
  const untilMs = performance.now() + SHIP_LIMIT_MS;
  let isDone = false;
  const done = shipping.then(() => {
    isDone = true;
  });
  while (!isDone && performance.now() < untilMs) await Promise.race([done, delay(LOOK_INTERVAL_MS)]);
  done.catch(() => undefined);
  const silentUntilMs = performance.now() + LIFE_SIGN_MS;
  const isWaiting = () => {
    const mayLive = performance.now() < silentUntilMs;
    return lacking(member).some(({ member: name, reachable, lacks }) => {
      const counts = Object.values(lacks);
      // Of one that has published something, nothing may be known yet; of one that never has, nothing will be.
      const isUnknown = counts.includes(null) && mayLive && (member.peers.get(name)?.status ?? null) !== null;
      return isUnknown || ((reachable || mayLive) && counts.some((count) => count !== null && count > 0));
    });
  };
  while (isWaiting() && performance.now() < untilMs) await delay(LOOK_INTERVAL_MS);
}

function lacking(member: Member): DemoteResult["followers"] {
  const { store, databases } = member.context;
  return Object.entries(member.ownStatus().followers).map(([name, { reachable, databases: receipts }]) => {
    const lacks = [...databases.keys()].map((database) => {
      const end = store.database(database)?.received?.txid ?? 0n;
      const received = parseTxid(receipts[database]?.received ?? "");
      return [database, received === null ? null : Math.max(0, Number(end - received))];
    });
    return { member: name, reachable, lacks: Object.fromEntries(lacks) };
  });
}

async function resultOf(member: Member): Promise<Omit<DemoteResult, "dryRun" | "steps">> {
  const { context, roles } = member;
  const databases = [...context.databases.keys()].map((database) => {
    const { received = null } = context.store.database(database) ?? {};
    return { database, end: received === null ? null : formatPosition(received) };
  });
  const known = knownRoles(await member.status());
  return { member: context.self.name, epoch: roles.epoch, databases, followers: lacking(member), roles: known };
}
