/** `afterimage check` with daemons that are killed. */
import { expect, test } from "vitest";
import { Pair } from "./pair.ts";

test("check says that the set is well, and what is wrong once a daemon is killed", async () => {
  const pair = new Pair();
  const [lisbon] = [pair.start("lisbon"), pair.start("porto")];
  const age = () => pair.set.databaseStatus("porto")?.staleSeconds ?? null;
  await pair.until("porto's copy is proved", () => age() !== null);
  await pair.until("lisbon has the receipt", () => {
    const { followers } = pair.set.status("lisbon") ?? {};
    return typeof followers?.porto?.databases.shop?.received === "string";
  });

  const well = await pair.run("porto", "check");
  expect(well.stdout.split("\n").filter((line) => !line.includes(": OK (") && line !== "")).toEqual([]);
  expect(well.code).toBe(0);
  expect(well.stdout).toContain("operational member: OK (lisbon, in epoch 1)\n");
  expect(well.stdout).toContain("topology: OK (porto could be promoted)\n");
  const nagios = await pair.run("lisbon", "check", "--nagios");
  expect(nagios).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^AFTERIMAGE OK - (\d+) of \1 checks good\n$/),
  });
  const strict = await pair.run("porto", "check", "--nagios", "--warn-lag", "0s");
  expect(strict).toMatchObject({ code: 1, stdout: expect.stringContaining("AFTERIMAGE WARNING - ") });

  lisbon?.child.kill("SIGKILL");
  await lisbon?.ended;
  await pair.until("porto hears nothing", () => pair.set.status("porto")?.state === "waiting");
  const lost = await pair.run("porto", "check", "--json");
  expect(lost.code).toBe(1);
  const { ok, level, checks } = JSON.parse(lost.stdout);
  expect({ ok, level }).toEqual({ ok: false, level: "FAIL" });
  expect(checks).toContainEqual({
    check: "operational member",
    level: "FAIL",
    message: "lisbon in epoch 1, which does not run, or cannot be reached",
    hint: expect.stringContaining("whois-operational"),
  });
  const alone = await pair.run("lisbon", "check", "--nagios");
  expect(alone).toMatchObject({ code: 2, stdout: expect.stringContaining("daemon of lisbon: it does not run") });
});

test("a monitoring system gets its exit code also when there is no configuration", async () => {
  const pair = new Pair();
  expect(await pair.run("nobody", "check")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("MEMBER_UNKNOWN"),
  });
  const { code, stdout } = await pair.run("nobody", "check", "--nagios");
  expect({ code, stdout }).toEqual({
    code: 2,
    stdout: expect.stringContaining("CRITICAL - 0 of 1 checks good; configuration: "),
  });
});
