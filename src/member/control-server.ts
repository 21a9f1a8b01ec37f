/**
 * The daemon's end of the control socket. Whoever may connect may fence databases, so the socket is its owner's only (mode
 * 0600 from the moment it exists), and nothing listens on the network.
 */
import { once } from "node:events";
import { rmSync } from "node:fs";
import { connect } from "node:net";
import { PassThrough } from "node:stream";
import fastify, { type FastifyInstance } from "fastify";
import type { z } from "zod";
import { errnoOf, messageOf } from "../errno.ts";
import { AfterimageError } from "../errors.ts";
import { ControlError } from "./control-error.ts";
import {
  controlSchemas,
  type ErrorBody,
  MAX_SOCKET_PATH_BYTES,
  STEP_LINES,
  type StepLine,
} from "./control-protocol.ts";
import type { MemberControl } from "./member-control.ts";
import type { StepListener } from "./runbook-steps.ts";

const OWNER_ONLY_UMASK = 0o177;
const BODY_LIMIT_BYTES = 1024 * 1024;

/**
 * Answers on `socketPath` until closed; closing waits for calls that are being answered. A socket file that nobody answers
 * on, left by a daemon that was killed, is replaced.
 * @throws ControlError CONTROL_IN_USE, CONTROL_PATH_TOO_LONG or CONTROL_FAILED.
 */
export async function startControlServer(
  socketPath: string,
  control: MemberControl,
): Promise<{ close(): Promise<void> }> {
  if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH_BYTES) {
    const message = `the path of the control socket is longer than ${MAX_SOCKET_PATH_BYTES} bytes`;
    throw new ControlError("CONTROL_PATH_TOO_LONG", message, {
      path: socketPath,
      hint: "choose a shorter `state` directory in the configuration",
    });
  }
  await removeStaleSocket(socketPath);
  const app = createApp(control);
  await app.ready();
  await listen(app, socketPath);
  return {
    async close() {
      await app.close();
      rmSync(socketPath, { force: true });
    },
  };
}

function createApp(control: MemberControl): FastifyInstance {
  const app = fastify({ bodyLimit: BODY_LIMIT_BYTES, forceCloseConnections: "idle", exposeHeadRoutes: false });
  const { requests } = controlSchemas;
  post(app, "status", requests.status, () => control.status());
  post(app, "reload", requests.reload, () => control.reload());
  post(app, "rotate", requests.rotate, ({ databases }) => control.rotate(databases));
  post(app, "integrate", requests.integrate, ({ databases, until, now = false }) =>
    control.integrate(databases, { now, ...(until === undefined ? {} : { until }) }),
  );
  post(app, "pause", requests.pause, ({ databases }) => control.pause(databases));
  post(app, "resume", requests.resume, ({ databases, until }) =>
    control.resume(databases, until === undefined ? {} : { until }),
  );
  post(app, "fence", requests.fence, ({ databases, dryRun = false }) => control.fence(databases, { dryRun }));
  postSteps(app, "promote", requests.promote, ({ force, dryRun = false }, onStep) =>
    control.promote({ dryRun, ...(force === undefined ? {} : { force }) }, onStep),
  );
  postSteps(app, "rejoin", requests.rejoin, ({ dryRun = false, wait = true }, onStep) =>
    control.rejoin({ dryRun, wait }, onStep),
  );
  postSteps(app, "switchover", requests.switchover, ({ to, timeoutMs, dryRun = false }, onStep) =>
    control.switchover({ to, dryRun, ...(timeoutMs === undefined ? {} : { timeoutMs }) }, onStep),
  );
  post(app, "cancelSwitchover", requests.cancelSwitchover, ({ force }) =>
    control.cancelSwitchover(force === undefined ? {} : { force }),
  );
  postSteps(app, "demote", requests.demote, ({ dryRun = false }, onStep) => control.demote({ dryRun }, onStep));
  post(app, "validate", requests.validate, ({ member }) => control.validate(member));
  post(app, "noteWork", requests.noteWork, async (work) => {
    await control.noteWork(work);
    return null;
  });
  post(app, "noteDrill", requests.noteDrill, async (outcome) => {
    await control.noteDrill(outcome);
    return null;
  });
  post(app, "unfence", requests.unfence, ({ databases, dryRun = false }) => control.unfence(databases, { dryRun }));
  post(app, "verify", requests.verify, ({ databases, deep = false }) => control.verify(databases, { deep }));
  post(app, "segments", requests.segments, (filter) => control.segments(filter));
  post(app, "purge", requests.purge, ({ dryRun = false }) => control.purge({ dryRun }));
  post(app, "snapshot", requests.snapshot, ({ databases }) => control.snapshot(databases));
  post(app, "ship", requests.ship, ({ members }) => control.ship(members === undefined ? {} : { members }));
  post(app, "rebuild", requests.rebuild, ({ databases, method, dryRun = false }) =>
    control.rebuild({
      dryRun,
      ...(databases === undefined ? {} : { databases }),
      ...(method === undefined ? {} : { method }),
    }),
  );
  post(app, "seed", requests.seed, (options) => control.seed(options));
  post(app, "sync", requests.sync, ({ members, timeoutMs }) =>
    control.sync({ ...(members === undefined ? {} : { members }), ...(timeoutMs === undefined ? {} : { timeoutMs }) }),
  );
  app.setErrorHandler(async (error, _request, reply) => {
    // What fastify or Node made up has codes of its own, which are no promise of ours.
    const status = error instanceof AfterimageError ? 409 : 500;
    await reply.code(status).send(errorBody(error));
  });
  app.setNotFoundHandler(async (request, reply) => {
    const message = `the daemon knows no ${request.method} ${request.url}`;
    await reply.code(404).send({ code: "CONTROL_PROTOCOL", message, hint: null, path: null } satisfies ErrorBody);
  });
  return app;
}

function post<T extends z.ZodType>(
  app: FastifyInstance,
  name: keyof MemberControl,
  schema: T,
  act: (request: z.output<T>) => Promise<unknown>,
): void {
  app.post(`/${name}`, async (request) => await act(parsed(name, schema, request.body)));
}

/** The answer is lines of JSON: each step as it is done, then the result or the error. A caller that goes away ends nothing. */
function postSteps<T extends z.ZodType>(
  app: FastifyInstance,
  name: keyof MemberControl,
  schema: T,
  act: (request: z.output<T>, onStep: StepListener) => Promise<unknown>,
): void {
  app.post(`/${name}`, async (request, reply) => {
    const asked = parsed(name, schema, request.body);
    const lines = new PassThrough().on("error", () => {});
    const write = (line: StepLine) => {
      if (lines.writable) lines.write(`${JSON.stringify(line)}\n`);
    };
    void act(asked, (step) => write({ step }))
      .then((result) => write({ result }))
      .catch((error: unknown) => write({ error: errorBody(error) }))
      .finally(() => lines.end());
    return await reply.type(STEP_LINES).send(lines);
  });
}

function parsed<T extends z.ZodType>(name: string, schema: T, body: unknown): z.output<T> {
  const result = schema.safeParse(body ?? {});
  if (result.success) return result.data;
  throw new ControlError("CONTROL_PROTOCOL", `the request ${name} is not understood`);
}

function errorBody(error: unknown): ErrorBody {
  if (!(error instanceof AfterimageError)) {
    return { code: "INTERNAL", message: messageOf(error), hint: null, path: null };
  }
  return { code: error.code, message: error.message, hint: error.hint ?? null, path: error.path ?? null };
}

/** Binding creates the file, so the mask must be in force during the call; it is synchronous for sockets of this kind. */
async function listen(app: FastifyInstance, socketPath: string): Promise<void> {
  const listening = once(app.server, "listening");
  const mask = process.umask(OWNER_ONLY_UMASK);
  try {
    app.server.listen({ path: socketPath });
  } finally {
    process.umask(mask);
  }
  try {
    await listening;
  } catch (error) {
    await app.close();
    const message = `the control socket cannot be made: ${messageOf(error)}`;
    throw new ControlError("CONTROL_FAILED", message, { path: socketPath, cause: error });
  }
}

async function removeStaleSocket(socketPath: string): Promise<void> {
  const socket = connect({ path: socketPath });
  try {
    await once(socket, "connect");
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ECONNREFUSED") rmSync(socketPath, { force: true });
    if (errno === "ECONNREFUSED" || errno === "ENOENT") return;
    const message = `the control socket's place is taken: ${messageOf(error)}`;
    throw new ControlError("CONTROL_FAILED", message, { path: socketPath, cause: error });
  } finally {
    socket.destroy();
  }
  throw new ControlError("CONTROL_IN_USE", "another daemon answers on the control socket", {
    path: socketPath,
    hint: "stop that daemon, or give each member a `state` directory of its own",
  });
}
