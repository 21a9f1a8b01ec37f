/** Commands ask the running daemon, and do the work themselves, under the same lock, when none runs. */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { AfterimageError } from "../errors.ts";
import { connectControl } from "../member/control-client.ts";
import { Member } from "../member/member.ts";
import type { MemberControl } from "../member/member-control.ts";
import type { CommandIo, GlobalOptions } from "./command-io.ts";
import { createLogger } from "./logger.ts";
import { openConfiguration, type Selection } from "./open-configuration.ts";

/** A daemon that has just been started holds the lock a moment before it listens. */
const DAEMON_START_MS = 2_000;
const RETRY_MS = 50;

export async function withControl<T>(
  args: GlobalOptions,
  io: CommandIo,
  act: (control: MemberControl, selection: Selection) => Promise<T>,
): Promise<T> {
  const selection = openConfiguration(args, io);
  const connected = await connectOrOpen(selection, io);
  if (!(connected instanceof Member)) return await act(connected, selection);
  try {
    return await act(connected, selection);
  } finally {
    await connected.close();
  }
}

async function connectOrOpen({ configuration, member }: Selection, io: CommandIo): Promise<MemberControl> {
  const socketPath = join(member.state, "control.sock");
  const deadlineMs = performance.now() + DAEMON_START_MS;
  for (;;) {
    const connected = await connectControl(socketPath);
    if (connected !== null) return connected;
    try {
      return await Member.open({ configuration, member: member.name, logger: createLogger(io, "error") });
    } catch (error) {
      const held = error instanceof AfterimageError && error.code === "LOCK_HELD";
      if (!held || performance.now() > deadlineMs) throw error;
    }
    await delay(RETRY_MS);
  }
}
