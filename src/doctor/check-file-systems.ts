/** The file systems of databases and state: whether SQLite's WAL works there, and what is lost with one disk. */
import { statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { patternDirectory } from "../config/database-pattern.ts";
import { type CheckResult, failure, ok, warning } from "../member/check-result.ts";
import { nearestExisting } from "./check-directories.ts";
import type { Subject } from "./subject.ts";

/** Magic numbers of linux/magic.h and of the file systems themselves, by `statfs`. */
const NETWORK: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB2"],
  [0x01021997, "9p"],
  [0x5346414f, "AFS"],
  [0x00c36400, "Ceph"],
  [0x786f4256, "VirtualBox shared folder"],
]);
const FUSE = 0x65735546;
const APART = "WAL mode needs memory and locks that all processes share, which it does not have";
const MOVE = "Move it to a disk of this machine: commits could be lost without a message.";

export function checkFileSystems({ member }: Subject): CheckResult[] {
  const places: [string, string][] = [
    ["state directory", member.state],
    ...[...member.databases].map(([name, path]): [string, string] => [`database ${name}`, path]),
    ...member.databasePatterns.map((pattern): [string, string] => [
      `databases ${pattern.name}`,
      patternDirectory(pattern),
    ]),
  ];
  return [...places.map(([what, path]) => checkLocks(what, nearestExisting(path))), ...checkDisks({ member })];
}

function checkLocks(what: string, path: string): CheckResult {
  return judgeFileSystem(`file system of ${what}`, path, statfsSync(path).type);
}

/** @param type as `statfs` has it. */
export function judgeFileSystem(check: string, path: string, type: number): CheckResult {
  const network = NETWORK.get(type);
  if (network !== undefined) return failure(check, `${path} is on ${network}: ${APART}`, MOVE);
  if (type !== FUSE) return ok(check, "a local one");
  const message = `${path} is on FUSE, and whether locks and shared memory work there depends on the program behind it`;
  return warning(check, message, "Ask that program's documentation, or move it to a disk of this machine.");
}

/** It is good to know, and no fault: what a mirror has received is safe whatever happens here. */
function checkDisks({ member }: Pick<Subject, "member">): CheckResult[] {
  const journal = diskOf(join(member.state, "journal"));
  const shared = [...member.databases].flatMap(([name, path]) => (diskOf(path) === journal ? [name] : []));
  if (shared.length === 0) return [ok("journal and databases", "on different file systems")];
  const message = `the journal is on one file system with ${shared.join(", ")}: both are lost, or full, at once`;
  return [ok("journal and databases", message)];
}

function diskOf(path: string): number {
  return statSync(nearestExisting(path)).dev;
}
