/** The section `journal`. */
import { z } from "zod";
import type { JournalConfiguration } from "./configuration.ts";
import { noted } from "./key-notes.ts";
import { duration, schedule, scheduleOrOff, size } from "./value-schemas.ts";

const MINUTE_MS = 60_000;
const LONGEST_MS = 3650 * 24 * 60 * MINUTE_MS;
/** The smallest limit that holds a page of any size. */
const MIN_SEGMENT_BYTES = 128 * 1024;
const MIN_JOURNAL_BYTES = 16 * 2 ** 20;

const journal = {
  rotate: schedule
    .prefault("*/10 * * * * *")
    .describe(
      "When the current journal is cut into a segment: by schedule, or whenever it has grown. Without changes no segment is made.",
    ),
  minInterval: duration({ min: 1, max: 60 * MINUTE_MS, range: "from 1ms to 60m" })
    .prefault("50ms")
    .describe("With `continuous`: the least time between two segments of a database."),
  maxSegmentBytes: size({ bytes: MIN_SEGMENT_BYTES, text: "128KiB" })
    .prefault("64MiB")
    .describe(
      "A segment is cut early at about this size. One transaction is never divided, so a segment may be larger.",
    ),
  retention: duration({ min: 0, max: LONGEST_MS, range: "at most 3650d" })
    .prefault("72h")
    .describe("A segment is kept for at least this long, and until every member that is due it has integrated it."),
  giveUpAfter: duration({ min: MINUTE_MS, max: LONGEST_MS, range: "from 1m to 3650d" })
    .prefault("14d")
    .describe(
      "A member that is away for longer no longer holds the journal back; when it returns it goes on from a snapshot.",
    ),
  maxBytes: noted(
    size({ bytes: MIN_JOURNAL_BYTES, text: "16MiB" }).optional().describe("What the journal directory holds at most."),
    { otherwise: "see below" },
  ),
  minFree: noted(
    size({ bytes: 0, text: "0" })
      .optional()
      .describe("What stays free on the journal's file system, and on that of a database whose WAL Afterimage keeps."),
    { otherwise: "see below" },
  ),
  snapshot: scheduleOrOff
    .prefault("0 2 * * *")
    .describe("When a snapshot of each database is added to the journal. Without changes none is made."),
  ship: schedule
    .prefault("continuous")
    .describe("When segments go to the followers: as soon as they are cut, or by schedule. See below."),
  verify: scheduleOrOff
    .prefault("0 4 * * 0")
    .describe("When every page of this member's databases, and its journal, are verified. See below."),
  deepVerify: scheduleOrOff
    .prefault("0 5 1 * *")
    .describe("When a mirror verifies its copies together with those of every member above it. See below."),
};

export const journalSchema = z.strictObject(journal).transform(
  ({ minInterval, retention, giveUpAfter, maxBytes = null, minFree = null, ...same }): JournalConfiguration => ({
    ...same,
    maxBytes,
    minFreeBytes: minFree,
    minIntervalMs: minInterval,
    retentionMs: retention,
    giveUpAfterMs: giveUpAfter,
  }),
);
