/** Whether this member can do in another one's mailbox what it will have to do: tried with a small file, which is removed again. */
import type { Configuration, MemberConfiguration } from "../config/configuration.ts";
import { messageOf } from "../errno.ts";
import { AfterimageError } from "../errors.ts";
import { openTransport } from "../transport/open-transport.ts";
import type { Transport } from "../transport/transport.ts";

const STEPS = ["log in and list", "write and rename", "read back", "remove"] as const;
type TrialStep = (typeof STEPS)[number];

const MAX_BYTES = 4096;

export interface MailboxTrial {
  readonly member: string;
  readonly mailbox: string;
  /** What succeeded, in order. */
  readonly done: readonly TrialStep[];
  /** What did not, and why; null when everything did. */
  readonly failed: {
    readonly step: TrialStep;
    readonly code: string;
    readonly message: string;
    readonly hint: string | null;
  } | null;
}

/** Throws nothing. */
export async function tryMailbox(
  { ssh }: Pick<Configuration, "ssh">,
  { self, other }: { readonly self: string; readonly other: MemberConfiguration },
): Promise<MailboxTrial> {
  const { name: member, mailbox } = other;
  const done: TrialStep[] = [];
  let transport: Transport | null = null;
  try {
    transport = openTransport(other, ssh);
    for (const step of STEPS) {
      await carryOut(step, transport, self);
      done.push(step);
    }
    return { member, mailbox, done, failed: null };
  } catch (error) {
    const step = STEPS[done.length] ?? STEPS[0];
    const code = error instanceof AfterimageError ? error.code : "TARGET_FAILED";
    const hint = error instanceof AfterimageError ? (error.hint ?? null) : null;
    return { member, mailbox, done, failed: { step, code, message: messageOf(error), hint } };
  } finally {
    await transport?.close();
  }
}

async function carryOut(step: TrialStep, transport: Transport, self: string): Promise<void> {
  // Elsewhere in a mailbox others may not write.
  const name = `inbox/probe-of-${self}`;
  const text = `a probe of ${self}: it may be removed\n`;
  switch (step) {
    case "log in and list":
      await transport.list("");
      return;
    case "write and rename":
      return await transport.publish(name, Buffer.from(text));
    case "read back": {
      const bytes = await transport.read(name, { maxBytes: MAX_BYTES });
      if (bytes === null || Buffer.from(bytes).toString() !== text)
        throw new Error("it does not hold what was written");
      return;
    }
    case "remove":
      return await transport.remove(name);
    default:
      step satisfies never;
  }
}
