/** `pause`, `resume` and `integrate` with a daemon and without; the rest of them is in recovery.test.ts. */
import { expect, test } from "vitest";
import { Pair } from "./pair.ts";

async function receivedByPorto(pair: Pair): Promise<string> {
  await pair.json("lisbon", "rotate");
  await pair.json("lisbon", "ship");
  const { segments } = await pair.json("lisbon", "segments", "--limit", "1");
  return segments[0].maxTxid;
}

test("without daemons: a pause is kept, refuses `integrate`, and is over with `resume`", async () => {
  const pair = new Pair();
  const end = await receivedByPorto(pair);
  const paused = await pair.run("porto", "pause", "shop");
  expect([paused.code, paused.stdout]).toEqual([0, "shop: paused; waiting for its snapshot\n"]);
  const refused = await pair.run("porto", "integrate", "--now");
  expect(refused.code).toBe(3);
  expect(refused.stdout).toMatch(/^shop: waiting for its snapshot; paused by operator: \d+ transactions? waits?\n$/);
  expect(await pair.json("porto", "resume")).toEqual({
    resumed: [{ database: "shop", paused: false, until: null, position: null }],
  });
  const { integrated } = await pair.json("porto", "integrate");
  expect(integrated).toMatchObject([{ position: expect.stringContaining(end), hold: null }]);
  const wrong = await pair.run("porto", "resume", "--until", "noon");
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining("2026-01-31T12:00:00Z")]);
  const passed = await pair.run("porto", "integrate", "--until", "2020-01-01T00:00:00+01:00");
  expect([passed.code, passed.stderr]).toEqual([3, expect.stringContaining("UNTIL_PASSED")]);
}, 60_000);

test("with daemons: a paused mirror receives and passes on, and integrates as soon as it is resumed", async () => {
  const pair = new Pair();
  const daemons = [pair.start("lisbon"), pair.start("porto")];
  const porto = () => pair.set.databaseStatus("porto");
  await pair.until("porto has its snapshot", () => (porto()?.integrated ?? null) !== null);
  const before = porto()?.integrated?.txid;
  await pair.json("porto", "pause");
  pair.write("INSERT INTO t VALUES (1)");
  await pair.json("lisbon", "rotate");
  await pair.until("porto has received it", () => (porto()?.received?.txid ?? "") > (before ?? ""));
  expect(porto()).toMatchObject({ integrated: { txid: before }, paused: true, hold: { by: "operator" }, error: null });
  expect(pair.set.status("porto")?.state).toBe("paused");
  await pair.json("porto", "resume");
  await pair.until("porto is level", () => porto()?.lagTransactions === 0 && porto()?.hold === null);
  for (const { child } of daemons) child.kill("SIGTERM");
  expect((await Promise.all(daemons.map(({ ended }) => ended))).map(({ code }) => code)).toEqual([0, 0]);
}, 60_000);
