import { expect, test } from "vitest";
import { LostClinic } from "../salvage/lost-clinic.ts";
import { addVisits } from "../support/members.ts";
import { afterimage } from "./afterimage.ts";

test("salvage says what it found, what it would do, and what it did; a refusal says what to do next", async () => {
  await using clinic = await LostClinic.begin();
  addVisits(clinic.application, 5);
  await clinic.rotate();
  addVisits(clinic.application, 2);
  clinic.lose();
  await clinic.mirror.close();
  const run = (...args: string[]) =>
    afterimage(["salvage", ...args, "--config", `${clinic.root}/afterimage.yaml`, "--node", "porto"], {
      cwd: clinic.root,
    });

  expect(await run("--from", "mnt", "--dry-run")).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(
      /^dry run of the salvage of lisbon: nothing was changed\nclinic: 7 transactions can be salvaged, 0{15}2 to 0{15}8; 1 segments from its journal, 1 from the WAL; last written 20.*Z; every page is as SQLite shows it of the lost database\n/,
    ),
    stderr: expect.stringContaining(
      "lisbon: its state, its journal, the databases clinic; watching for a sign of life",
    ),
  });
  const done = await run("--from", "mnt", "--json", "--quiet");
  expect(done).toMatchObject({ code: 0, stderr: "" });
  expect(JSON.parse(done.stdout)).toMatchObject({
    ...{ member: "lisbon", dryRun: false },
    databases: [{ database: "clinic", outcome: "salvaged", transactions: 7, proved: true, error: null }],
  });
  expect((await run("--from", "mnt")).stdout).toMatch(/^salvage of lisbon\nclinic: nothing to salvage; at 1:0{15}8:/);
  expect(await run("--from", "nowhere")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("SALVAGE_NOTHING_FOUND"),
  });
  expect(await run("--from", "mnt", "--databases", "clinics")).toMatchObject({ code: 2 });
  expect(await run()).toMatchObject({ code: 2 });

  await clinic.stopDaemon();
  addVisits(clinic.application, 1);
  clinic.application.close();
  clinic.lose();
  expect(await run("--from", "mnt")).toMatchObject({
    code: 3,
    stdout: expect.stringMatching(
      /; 1 of 1 databases refused\nclinic: REFUSED SALVAGE_WAL_DIFFERENT: the WAL does not continue the journal: .*\n {2}next: .*--accept-difference/,
    ),
  });
});
