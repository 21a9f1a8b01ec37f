/** Litestream at work beside an application, and as a follower of its own replica. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { stringify } from "yaml";
import { ManagedProcess } from "../../src/demo/managed-process.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import type { SshAccount } from "./open-ssh.ts";

const STALLED_AFTER_MS = 30_000;

export interface LitestreamOptions {
  /** The program. */
  readonly program: string;
  /** A directory for its configuration and its log. */
  readonly root: string;
  readonly database: string;
  /** Where the replica lies, as this machine sees it. */
  readonly replica: string;
  /** The account through which it gets there; null for a directory of this machine. */
  readonly account: SshAccount | null;
  /** How often it looks at the WAL, ships and follows; null for its own. */
  readonly intervalMs: number | null;
}

/** Begins to replicate; resolves once the first file is there. End it with `terminate`. */
export async function startReplicating(options: LitestreamOptions): Promise<ManagedProcess> {
  const { program, root, database, replica, account, intervalMs } = options;
  const interval = `${intervalMs}ms`;
  const place = {
    ...(account === null ? { type: "file" } : sftpPlace(account)),
    path: replica,
    ...(intervalMs !== null && { "sync-interval": interval }),
  };
  const source = { path: database, ...(intervalMs !== null && { "monitor-interval": interval }), replica: place };
  const config = join(root, "litestream.yml");
  writeFileSync(config, stringify({ dbs: [source] }));
  const args = ["replicate", "-config", config];
  const service = ManagedProcess.start("litestream replicate", program, args, join(root, "replicate.log"));
  await untilServed(service, () => isBegun(replica));
  return service;
}

/** Restores `output` from the replica and follows it; resolves once it is there. */
export async function startFollowing(
  { program, root, replica, intervalMs }: LitestreamOptions,
  output: string,
): Promise<ManagedProcess> {
  const log = join(root, "follow.log");
  const interval = intervalMs === null ? [] : ["-follow-interval", `${intervalMs}ms`];
  const args = ["restore", "-f", ...interval, "-o", output, pathToFileURL(replica).href];
  const follower = ManagedProcess.start("litestream restore", program, args, log);
  await untilServed(follower, () => readFileSync(log, "utf8").includes("entering follow mode"));
  return follower;
}

function sftpPlace({ port, user, identity, hostKey }: SshAccount): object {
  return { type: "sftp", host: `127.0.0.1:${port}`, user, "key-path": identity, "host-key": hostKey };
}

async function untilServed(service: ManagedProcess, isServed: () => boolean): Promise<void> {
  const condition = () => {
    if (service.exit !== null) throw new Error(`${service.name} ended: ${service.logTail()}`);
    return isServed();
  };
  await waitUntil(condition, { what: service.name, stalledAfterMs: STALLED_AFTER_MS });
}

function isBegun(replica: string): boolean {
  try {
    return readdirSync(replica, { recursive: true, encoding: "utf8" }).some((name) => name.endsWith(".ltx"));
  } catch {
    return false;
  }
}
