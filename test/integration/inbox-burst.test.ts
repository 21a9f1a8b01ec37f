/** Thousands of segments that another process drops into the inbox of a running mirror, all at once and in any order. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { formatSegmentName } from "../../src/journal/segment-name.ts";
import { MemorySource } from "../../src/ltx/byte-io.ts";
import { halvesToChecksum, pageChecksum } from "../../src/ltx/page-checksum.ts";
import { CHECKSUM_FLAG, type Checksum, toChecksum, toTxid } from "../../src/ltx/position.ts";
import { SegmentEncoder } from "../../src/ltx/segment-encoder.ts";
import { verifySegment } from "../../src/ltx/verify-segment.ts";
import { deliverTo, type JournalFile, journalFiles, refusedFiles } from "../support/arrivals.ts";
import { startChild } from "../support/child-process.ts";
import { addVisits, createClinic } from "../support/members.ts";
import { openSetMember, type SetShape, setDatabasePath, setInboxPath } from "../support/set-members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const SHAPE: SetShape = { mirror: "clinic", databases: ["patients"], members: ["lisbon", "porto"] };
const SEGMENTS = 5_000;
const PAGE_SIZE = 4096;

async function makeSnapshot(root: string): Promise<JournalFile> {
  const database = createClinic(setDatabasePath(root, "lisbon", "patients"));
  addVisits(database, 50);
  await using lisbon = await openSetMember(root, "lisbon", SHAPE);
  await lisbon.rotate();
  database.close();
  const [snapshot] = await journalFiles(lisbon, "patients");
  if (snapshot === undefined) throw new Error("no snapshot");
  return snapshot;
}

function checksumOf(pgno: number, data: Uint8Array): Checksum {
  const halves = new Uint32Array(2);
  pageChecksum(pgno, data, halves);
  return halvesToChecksum(halves[0] ?? 0, halves[1] ?? 0);
}

/** Segments that each add one page at the end of the database; returns the checksum after the last. */
function writeSegments(directory: string, snapshot: Uint8Array): Checksum {
  const { header, postApplyChecksum } = verifySegment(new MemorySource(snapshot));
  let checksum = postApplyChecksum;
  for (let i = 1; i <= SEGMENTS; i++) {
    const txid = toTxid(header.maxTxid + BigInt(i));
    const [pgno, data] = [header.commit + i, new Uint8Array(PAGE_SIZE).fill(i % 251)];
    const chunks: Uint8Array[] = [];
    const place = { commit: pgno, minTxid: txid, maxTxid: txid, preApplyChecksum: checksum };
    const encoder = new SegmentEncoder({ write: (bytes) => void chunks.push(bytes.slice()) }, { ...header, ...place });
    encoder.writePage(pgno, data);
    checksum = toChecksum((checksum ^ checksumOf(pgno, data)) | CHECKSUM_FLAG);
    encoder.finish(checksum);
    writeFileSync(join(directory, formatSegmentName({ minTxid: txid, maxTxid: txid })), Buffer.concat(chunks));
  }
  return checksum;
}

test("five thousand segments that come at once and in any order are integrated", async () => {
  const root = temporaryDirectory();
  const snapshot = await makeSnapshot(root);
  const staging = join(root, "staging");
  mkdirSync(staging);
  const end = writeSegments(staging, snapshot.bytes);
  await using porto = await openSetMember(root, "porto", SHAPE);
  deliverTo(root, "porto", snapshot);
  const stop = new AbortController();
  const running = porto.run(stop.signal);
  const integrated = () => porto.context.store.database("patients")?.integrated ?? null;
  const progress = () => String(integrated()?.txid);
  await waitUntil(() => integrated() !== null, { what: "the snapshot", stalledAfterMs: 60_000, progress });
  const dropper = startChild(new URL("../support/file-dropper.ts", import.meta.url), [
    staging,
    setInboxPath(root, "porto", "patients"),
  ]);
  await dropper.line((line) => line === "done");
  const droppedAt = performance.now();
  await waitUntil(() => integrated()?.checksum === end, { what: "the last segment", stalledAfterMs: 60_000, progress });
  console.log(`${SEGMENTS} segments integrated ${Math.round(performance.now() - droppedAt)} ms after the last arrived`);
  stop.abort();
  await running;
  expect(refusedFiles(root, "porto", "patients")).toEqual([]);
  expect(await porto.verify()).toMatchObject([{ ok: true, problems: [] }]);
});
