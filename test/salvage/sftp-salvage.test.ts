import { execFileSync } from "node:child_process";
import { chmodSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import type { Configuration } from "../../src/config/configuration.ts";
import { addVisits } from "../support/members.ts";
import { type SshServer, startSshServer } from "../transport/ssh-server.ts";
import { LostClinic } from "./lost-clinic.ts";

test("a lost machine that still answers by SFTP is salvaged from there", async () => {
  await using clinic = await LostClinic.begin();
  addVisits(clinic.application, 6);
  await clinic.rotate();
  addVisits(clinic.application, 4);
  clinic.lose();
  const server = await startSshServer();
  const { configuration, from } = mountedOn(server, clinic);
  expect(await clinic.salvageClinic({ configuration, from })).toMatchObject({
    ...{ outcome: "salvaged", transactions: 10, unshippedSegments: 1, cutSegments: 1, proved: true, error: null },
  });
  expect(await clinic.compareMirror(clinic.shownByDisk())).toMatchObject({ identical: true });
});

test("an account that sees no databases gives what it can, and the rest is said", async () => {
  await using clinic = await LostClinic.begin();
  addVisits(clinic.application, 6);
  await clinic.rotate();
  addVisits(clinic.application, 4);
  clinic.lose();
  const server = await startSshServer();
  const { configuration, from } = mountedOn(server, clinic);
  const state = join(from, clinic.stateOnDisk.slice(clinic.disk.length)).replace(":/", "://");
  chmodSync(join(server.directory, dirname(clinic.databaseOnDisk).slice(clinic.disk.length)), 0o311);
  const steps: string[] = [];
  const options = { configuration, from: state, onStep: (step: string) => steps.push(step) };
  expect(await clinic.salvageClinic(options)).toMatchObject({
    ...{ outcome: "salvaged", transactions: 6, unshippedSegments: 1, cutSegments: 0, proved: false, error: null },
    notes: ["neither the database nor its WAL was found: only its journal was looked at"],
  });
  expect(steps.join()).toMatch(/not readable: .*lisbon.db: the server does not let this account read it/);
  await expect(clinic.salvage({ configuration, from: `${from}/nowhere` })).rejects.toMatchObject({
    code: "SALVAGE_NOTHING_FOUND",
  });
});

/** The lost disk as the server shows it; the configuration has the server's key pinned. */
function mountedOn(server: SshServer, clinic: LostClinic): { configuration: Configuration; from: string } {
  const { host, port, user, path, hostKey } = server.mailbox;
  execFileSync("cp", ["-r", "--preserve=timestamps", `${clinic.disk}/.`, server.directory]);
  execFileSync("chmod", ["-R", "a+rX", server.directory]);
  const from = `sftp://${user}@${host}:${port}${path}`;
  const { configuration } = clinic.mirror.context;
  const lisbon = configuration.members.get("lisbon");
  if (lisbon === undefined) throw new Error("no member");
  const members = new Map([...configuration.members, ["lisbon", { ...lisbon, mailbox: from, hostKey }]]);
  return { configuration: { ...configuration, ssh: server.ssh, members }, from };
}
