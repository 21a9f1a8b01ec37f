/** A command's end of the control socket. Calls may take as long as the daemon needs, but for those that are quick by nature. */
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import type { z } from "zod";
import { errnoOf, messageOf } from "../errno.ts";
import type { ErrorDetails } from "../errors.ts";
import { ControlError, DaemonError } from "./control-error.ts";
import { controlSchemas, errorBodySchema, MAX_SOCKET_PATH_BYTES, stepLineSchema } from "./control-protocol.ts";
import type { DemoteOptions } from "./demotion.ts";
import type { SyncOptions } from "./journal-results.ts";
import type {
  CancelOptions,
  DrillOutcome,
  FenceOptions,
  IntegrateOptions,
  MemberControl,
  NotedWork,
  PromoteOptions,
  PurgeOptions,
  RebuildOptions,
  RejoinOptions,
  ResumeOptions,
  SeedOptions,
  SegmentFilter,
  ShipOptions,
  SwitchoverOptions,
  VerifyOptions,
} from "./member-control.ts";
import type { StepListener } from "./runbook-steps.ts";

/** For a call that no work of the daemon's can make long: what it asks of other members has a shorter limit. */
const QUICK_MS = 5_000;

/**
 * The member whose daemon listens on `socketPath`; null when nobody does. Errors of the daemon's arrive as DaemonError, and
 * CONTROL_SILENT when it takes longer than `quickMs` for what is quick by nature: its process may be stopped.
 * @throws ControlError CONTROL_DENIED when the socket is another user's.
 */
export async function connectControl(socketPath: string, quickMs: number = QUICK_MS): Promise<MemberControl | null> {
  // No daemon can listen on such a path.
  if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH_BYTES) return null;
  const socket = connect({ path: socketPath });
  try {
    await once(socket, "connect");
    return new ControlClient(socketPath, quickMs);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ECONNREFUSED" || errno === "ENOENT" || errno === "ENOTDIR") return null;
    throw new ControlError("CONTROL_DENIED", `the daemon cannot be asked: ${messageOf(error)}`, {
      path: socketPath,
      hint: "run this command as the user that the daemon runs as",
      cause: error,
    });
  } finally {
    socket.destroy();
  }
}

class ControlClient implements MemberControl {
  readonly #socketPath: string;
  readonly #quickMs: number;

  constructor(socketPath: string, quickMs: number) {
    this.#socketPath = socketPath;
    this.#quickMs = quickMs;
  }

  status() {
    return this.#call("status", {}, controlSchemas.results.status, this.#quickMs);
  }

  reload() {
    return this.#call("reload", {}, controlSchemas.results.reload, this.#quickMs);
  }

  rotate(databases?: readonly string[]) {
    return this.#call("rotate", { databases }, controlSchemas.results.rotate);
  }

  integrate(databases?: readonly string[], options: IntegrateOptions = {}) {
    return this.#call("integrate", { databases, ...options }, controlSchemas.results.integrate);
  }

  pause(databases?: readonly string[]) {
    return this.#call("pause", { databases }, controlSchemas.results.pause);
  }

  resume(databases?: readonly string[], options: ResumeOptions = {}) {
    return this.#call("resume", { databases, ...options }, controlSchemas.results.resume);
  }

  fence(databases?: readonly string[], options: FenceOptions = {}) {
    return this.#call("fence", { databases, ...options }, controlSchemas.results.fence);
  }

  promote(options: PromoteOptions, onStep?: StepListener) {
    return this.#callSteps("promote", options, controlSchemas.results.promote, onStep);
  }

  rejoin(options: RejoinOptions, onStep?: StepListener) {
    return this.#callSteps("rejoin", options, controlSchemas.results.rejoin, onStep);
  }

  switchover(options: SwitchoverOptions, onStep?: StepListener) {
    return this.#callSteps("switchover", options, controlSchemas.results.switchover, onStep);
  }

  cancelSwitchover(options: CancelOptions) {
    return this.#call("cancelSwitchover", options, controlSchemas.results.cancelSwitchover);
  }

  demote(options: DemoteOptions, onStep?: StepListener) {
    return this.#callSteps("demote", options, controlSchemas.results.demote, onStep);
  }

  validate(member: string) {
    return this.#call("validate", { member }, controlSchemas.results.validate);
  }

  noteWork(work: NotedWork) {
    return this.#call("noteWork", work, controlSchemas.results.noteWork, this.#quickMs);
  }

  noteDrill(outcome: DrillOutcome) {
    return this.#call("noteDrill", outcome, controlSchemas.results.noteDrill);
  }

  unfence(databases?: readonly string[], options: FenceOptions = {}) {
    return this.#call("unfence", { databases, ...options }, controlSchemas.results.unfence);
  }

  verify(databases?: readonly string[], options: VerifyOptions = {}) {
    return this.#call("verify", { databases, ...options }, controlSchemas.results.verify);
  }

  segments(filter: SegmentFilter) {
    return this.#call("segments", filter, controlSchemas.results.segments);
  }

  purge(options: PurgeOptions) {
    return this.#call("purge", options, controlSchemas.results.purge);
  }

  snapshot(databases?: readonly string[]) {
    return this.#call("snapshot", { databases }, controlSchemas.results.snapshot);
  }

  ship(options: ShipOptions) {
    return this.#call("ship", options, controlSchemas.results.ship);
  }

  rebuild(options: RebuildOptions) {
    return this.#call("rebuild", options, controlSchemas.results.rebuild);
  }

  seed(options: SeedOptions) {
    return this.#call("seed", options, controlSchemas.results.seed);
  }

  sync(options: SyncOptions) {
    return this.#call("sync", options, controlSchemas.results.sync);
  }

  async #call<T>(method: keyof MemberControl, body: object, schema: z.ZodType<T>, limitMs?: number): Promise<T> {
    let text = "";
    const onText = (chunk: string) => {
      text += chunk;
    };
    const ok = await this.#post(`/${method}`, JSON.stringify(body), { onText, limitMs });
    const value = parseJson(text);
    if (!ok) throw this.#revive(value);
    return this.#understood(method, schema, value);
  }

  async #callSteps<T>(
    method: keyof MemberControl,
    body: object,
    schema: z.ZodType<T>,
    onStep: StepListener = () => {},
  ): Promise<T> {
    const last: { line: z.infer<typeof stepLineSchema> | null } = { line: null };
    let rest = "";
    const onText = (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const text of lines) {
        const { data: line } = stepLineSchema.safeParse(parseJson(text));
        if (line !== undefined && "step" in line) onStep(line.step);
        last.line = line ?? last.line;
      }
    };
    const ok = await this.#post(`/${method}`, JSON.stringify(body), { onText });
    if (!ok) throw this.#revive(parseJson(rest));
    const { line } = last;
    if (line !== null && "error" in line) throw this.#revive(line.error);
    if (line !== null && "result" in line) return this.#understood(method, schema, line.result);
    throw this.#lost("its answer broke off");
  }

  #understood<T>(method: keyof MemberControl, schema: z.ZodType<T>, value: unknown): T {
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    throw this.#notUnderstood(`the daemon's answer to ${method} is not understood`);
  }

  /** @returns whether the daemon says that it was done. */
  async #post(path: string, body: string, { onText, limitMs }: PostOptions): Promise<boolean> {
    const limit = limitMs === undefined ? undefined : AbortSignal.timeout(limitMs);
    try {
      const outgoing = request({
        socketPath: this.#socketPath,
        path,
        method: "POST",
        agent: false,
        ...(limit === undefined ? {} : { signal: limit }),
        headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
      });
      const response = new Promise<IncomingMessage>((resolve, reject) => {
        outgoing.once("response", resolve).on("error", reject);
      });
      outgoing.end(body);
      const incoming = await response;
      incoming.setEncoding("utf8");
      for await (const chunk of incoming) onText(String(chunk));
      return incoming.statusCode === 200;
    } catch (error) {
      if (limit?.aborted === true) throw this.#silent(path.slice(1), limitMs ?? 0);
      throw this.#lost(messageOf(error), error);
    }
  }

  #silent(method: string, limitMs: number): ControlError {
    const message = `the daemon has not answered to ${method} within ${limitMs / 1000} s`;
    return new ControlError("CONTROL_SILENT", message, {
      path: this.#socketPath,
      hint:
        "Look at its process with `ps`: in state T it is stopped (`kill -CONT` goes on with it), in state D it waits for a disk. " +
        "If it stays silent, restart it. `afterimage whois-operational` answers without it.",
    });
  }

  #lost(reason: string, cause?: unknown): ControlError {
    return new ControlError("CONTROL_LOST", `the daemon ended before it had answered: ${reason}`, {
      path: this.#socketPath,
      hint: "look into the daemon's log; the command can be run again",
      cause,
    });
  }

  #revive(value: unknown): ControlError | DaemonError {
    const parsed = errorBodySchema.safeParse(value);
    if (!parsed.success) return this.#notUnderstood("the daemon's error is not understood");
    const { code, message, hint, path } = parsed.data;
    const details: ErrorDetails = { ...(hint === null ? {} : { hint }), ...(path === null ? {} : { path }) };
    return new DaemonError(code, message, details);
  }

  #notUnderstood(message: string): ControlError {
    return new ControlError("CONTROL_PROTOCOL", message, {
      path: this.#socketPath,
      hint: "daemon and command are of different versions: restart the daemon",
    });
  }
}

interface PostOptions {
  readonly onText: (chunk: string) => void;
  /** Undefined for none. */
  readonly limitMs?: number | undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
