/** Commands ask the running daemon, and do the work themselves, under the same lock, when none runs. */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { AfterimageError } from "../errors.ts";
import { connectControl } from "../member/control-client.ts";
import type { MemberControl } from "../member/member-control.ts";
import type { CommandIo, GlobalOptions } from "./command-io.ts";
import { createLogger } from "./logger.ts";
import { openConfiguration, type Selection } from "./open-configuration.ts";
import { openMember } from "./open-member.ts";

/** A daemon that has just been started holds the lock a moment before it listens. */
const DAEMON_START_MS = 2_000;
const RETRY_MS = 50;

interface Reached {
  readonly control: MemberControl;
  close(): Promise<void>;
}

/** Calls `act` with the member that this machine is, and resolves to what it returns. */
export async function withControl<T>(
  args: GlobalOptions,
  io: CommandIo,
  act: (control: MemberControl) => Promise<T>,
): Promise<T> {
  const { control, close } = await connectOrOpen(openConfiguration(args, io), io);
  try {
    return await act(control);
  } finally {
    await close();
  }
}

async function connectOrOpen(selection: Selection, io: CommandIo): Promise<Reached> {
  const socketPath = join(selection.member.state, "control.sock");
  const deadlineMs = performance.now() + DAEMON_START_MS;
  for (;;) {
    const connected = await connectControl(socketPath);
    if (connected !== null) return { control: connected, close: async () => undefined };
    try {
      const member = await openMember(selection, createLogger(io, "error"));
      return { control: member, close: () => member.close() };
    } catch (error) {
      const held = error instanceof AfterimageError && error.code === "LOCK_HELD";
      if (!held || performance.now() > deadlineMs) throw error;
    }
    await delay(RETRY_MS);
  }
}
