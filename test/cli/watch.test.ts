/** `afterimage status --watch`, and what it shows of a daemon that does not answer. */
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { PROGRAM, startAfterimage } from "./afterimage.ts";
import { Pair } from "./pair.ts";

test("the status is shown again and again, also while the daemon is silent", async () => {
  const pair = new Pair();
  const { child: daemon } = pair.start("lisbon");
  await pair.until("lisbon is operational", () => pair.set.status("lisbon")?.state === "operational");
  const args = ["status", "--watch", "0.1", "--json", "--config", pair.set.configPath, "--node", "lisbon"];
  const { child, ended } = startAfterimage(args, { cwd: pair.set.root });
  const seen: string[] = [];
  if (child.stdout === null) throw new Error(`${PROGRAM} has no output`);
  for await (const line of createInterface(child.stdout)) {
    const { answeredBy, error } = JSON.parse(line);
    seen.push(error?.code ?? answeredBy);
    // It is stopped once it has answered twice, and goes on once that was reported.
    if (seen.length === 2) daemon.kill("SIGSTOP");
    if (seen.at(-1) === "CONTROL_SILENT") daemon.kill("SIGCONT");
    if (seen.includes("CONTROL_SILENT") && seen.at(-1) === "lisbon") break;
  }
  child.kill("SIGINT");
  expect(await ended).toMatchObject({ signal: "SIGINT", stderr: "" });
  expect(seen.slice(0, 2)).toEqual(["lisbon", "lisbon"]);
});
