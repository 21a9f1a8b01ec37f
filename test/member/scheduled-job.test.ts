import { Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { type Logger, pino } from "pino";
import { expect, test } from "vitest";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { runScheduledJob } from "../../src/member/jobs/scheduled-job.ts";
import type { Member } from "../../src/member/member.ts";
import { openMember } from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const EVERY_SECOND = "* * * * * *";

interface Options {
  readonly expression?: string;
  readonly timeZone?: string;
  readonly logger?: Logger;
}

/** Starts the job `verify` of `member`; it runs until it is disposed of. */
function start(member: Member, run: () => Promise<void>, options: Options = {}) {
  const { expression = EVERY_SECOND, timeZone = null, logger = member.context.logger } = options;
  const configuration = { ...member.context.configuration, timeZone };
  const context = { ...member.context, configuration, logger };
  const stop = new AbortController();
  const ended = runScheduledJob(context, { name: "verify", database: null, expression, run }, stop.signal);
  return {
    stop,
    ended,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended;
    },
  };
}

async function until(what: string, condition: () => boolean): Promise<void> {
  await waitUntil(condition, { what, stalledAfterMs: 20_000 });
}

/** A gate that is shut until it is opened. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

test("a job runs at the times of its expression, in whole seconds", async () => {
  await using member = await openMember(temporaryDirectory(), "lisbon");
  const seconds: number[] = [];
  await using _job = start(member, async () => void seconds.push(Math.floor(Date.now() / 1_000)));
  await until("three runs", () => seconds.length >= 3);
  expect(new Set(seconds).size).toBe(seconds.length);
});

test("a job never overlaps itself; what was due meanwhile is counted, not made up for", async () => {
  await using member = await openMember(temporaryDirectory(), "lisbon");
  const lines: string[] = [];
  const logger = pino(
    new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk));
        done();
      },
    }),
  );
  const { opened, open } = gate();
  const runs: number[] = [];
  let running = 0;
  let most = 0;
  const run = async () => {
    most = Math.max(most, ++running);
    runs.push(Math.floor(Date.now() / 1_000));
    if (runs.length === 1) await opened;
    running--;
  };
  await using _job = start(member, run, { logger });
  await until("the first run", () => runs.length === 1);
  const [first = 0] = runs;
  await until("two more times", () => Date.now() / 1_000 > first + 2.5);
  expect(runs).toHaveLength(1);
  open();
  await until("the next runs", () => runs.length >= 3);
  expect(most).toBe(1);
  expect(new Set(runs).size).toBe(runs.length);
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ level: 40, job: "verify", overruns: 1 }]);
});

test("times are those of the configured time zone", async () => {
  await using member = await openMember(temporaryDirectory(), "lisbon");
  const hourIn = (timeZone: string) =>
    Number(new Intl.DateTimeFormat("en-GB", { timeZone, hour: "2-digit", hourCycle: "h23" }).format(new Date()));
  const here = new Date().getHours();
  // Fourteen hours apart: at least one of them has hours now that this machine does not have.
  const timeZone = ["Asia/Tokyo", "America/Bogota"].find((zone) => (here - hourIn(zone) + 24) % 24 > 1) ?? "";
  const hour = hourIn(timeZone);
  let runs = 0;
  await using _job = start(member, async () => void runs++, {
    timeZone,
    expression: `* * ${hour},${(hour + 1) % 24} * * *`,
  });
  await until("a run", () => runs > 0);
});

test("a failure is an event when it begins and when it is over, and the job goes on", async () => {
  await using member = await openMember(temporaryDirectory(), "lisbon");
  let runs = 0;
  await using _job = start(member, async () => {
    runs++;
    if (runs <= 2) throw new Error("no disk");
  });
  await until("four runs", () => runs >= 4);
  expect(member.context.store.events({})).toMatchObject([
    { level: "error", code: "JOB_FAILED", message: "the job verify failed: no disk", data: { job: "verify" } },
    { level: "info", code: "JOB_RECOVERED" },
  ]);
});

test("a stopped job waits for the run that was begun, and for no time to come", async () => {
  await using member = await openMember(temporaryDirectory(), "lisbon");
  const idle = start(member, async () => {}, { expression: "0 0 29 2 *" });
  idle.stop.abort();
  await idle.ended;

  const { opened, open } = gate();
  let runs = 0;
  let ended = false;
  const busy = start(member, async () => {
    runs++;
    await opened;
  });
  void busy.ended.then(() => {
    ended = true;
  });
  await until("a run", () => runs === 1);
  busy.stop.abort();
  await sleep(0);
  expect(ended).toBe(false);
  open();
  await busy.ended;
  expect(runs).toBe(1);
});
