/** What the sections of a configuration must agree on, each rule reported where the user would correct it. */
import { dirname, sep } from "node:path";
import type { Fault } from "./config-error.ts";
import { FOLLOWS_OPERATIONAL } from "./configuration.ts";
import { configuredPath, coversNames, type DatabaseSet, isPattern, pathsMeet, textsMeet } from "./database-pattern.ts";
import { isLoopback } from "./loopback.ts";
import type { Mailbox } from "./mailbox-url.ts";
import { nearestName } from "./nearest-name.ts";
import type { ParsedMember } from "./schema.ts";
import type { KeyPath, YamlSource } from "./yaml-source.ts";

/** A member whose own section has no fault. */
export interface CheckedMember extends Omit<ParsedMember, "databases">, DatabaseSet {
  readonly name: string;
}

interface Checked {
  readonly source: YamlSource;
  /** All that the file names, those with faults too. */
  readonly names: readonly string[];
  readonly operational: string | null;
  readonly members: readonly CheckedMember[];
  /** The file of host keys in the `ssh` section; null when there is none. */
  readonly knownHosts: string | null;
}

/** The directory in which a member's mailbox lies on its own machine. */
export function mailboxDirectory(member: Pick<CheckedMember, "directory" | "mailbox">): string {
  return member.directory ?? member.mailbox.path;
}

export function crossChecks(checked: Checked): Fault[] {
  return [
    ...operationalFaults(checked),
    ...followsFaults(checked),
    ...hostKeyFaults(checked),
    ...listenFaults(checked),
    ...httpFaults(checked),
    ...integrationFaults(checked),
    ...sharedPlaces(checked),
    ...sharedPatterns(checked),
    ...exposedPlaces(checked),
    ...databaseSets(checked),
  ];
}

function operationalFaults({ source, names, operational, members }: Checked): Fault[] {
  if (operational === null) return [];
  if (!names.includes(operational)) {
    return [source.faultAt(["operational"], "MEMBER_UNKNOWN", unknownMember(operational, names))];
  }
  const type = members.find(({ name }) => name === operational)?.type;
  if (type !== "reporting") return [];
  const message = "the operational member cannot be of type reporting, which is never promoted";
  return [source.faultAt(["members", operational, "type"], "OPERATIONAL_TYPE", message)];
}

function followsFaults({ source, names, members }: Checked): Fault[] {
  const faults: Fault[] = [];
  const follows = new Map(members.map((member) => [member.name, member.follows]));
  const reported = new Set<string>();
  for (const { name, follows: upstream } of members) {
    const path = ["members", name, "follows"];
    if (upstream === FOLLOWS_OPERATIONAL) continue;
    if (upstream === name) {
      faults.push(source.faultAt(path, "FOLLOWS_SELF", "a member cannot follow itself"));
    } else if (!names.includes(upstream)) {
      faults.push(source.faultAt(path, "MEMBER_UNKNOWN", unknownMember(upstream, names)));
    } else {
      const cycle = cycleFrom(name, follows);
      if (cycle === null || cycle.some((member) => reported.has(member))) continue;
      for (const member of cycle) reported.add(member);
      const message = `members follow each other in a circle: ${[...cycle, name].join(" -> ")}`;
      faults.push(source.faultAt(path, "FOLLOWS_CYCLE", message));
    }
  }
  return faults;
}

/** The members of the circle that `start` is part of; null when it is part of none, or only follows itself. */
function cycleFrom(start: string, follows: ReadonlyMap<string, string>): string[] | null {
  const visited = [start];
  for (let next = follows.get(start); next !== undefined; next = follows.get(next)) {
    if (next === start) return visited.length > 1 ? visited : null;
    if (visited.includes(next)) return null;
    visited.push(next);
  }
  return null;
}

function hostKeyFaults({ source, members, knownHosts }: Checked): Fault[] {
  return members.flatMap(({ name, mailbox, hostKey }) => {
    if (mailbox.kind === "sftp" && hostKey === undefined && knownHosts === null) {
      const message =
        "an sftp mailbox needs a hostKey, or knownHosts in the ssh section: without it anybody on the way could pose as this member";
      return [source.faultAtKey(["members", name, "mailbox"], "HOST_KEY_MISSING", message)];
    }
    if (mailbox.kind === "file" && hostKey !== undefined) {
      return [source.faultAtKey(["members", name, "hostKey"], "HOST_KEY_UNUSED", "a file mailbox has no host key")];
    }
    return [];
  });
}

function listenFaults({ source, members }: Checked): Fault[] {
  return members.flatMap(({ name, mailbox, listen }) => {
    if (listen === undefined) return [];
    const path = ["members", name, "listen"];
    if (mailbox.kind === "file") {
      return [source.faultAtKey(path, "LISTEN_UNUSED", "nobody would connect: the mailbox is a file: URL, not sftp:")];
    }
    if (listen.authorizedKeys.length > 0 || listen.authorizedKeysFile !== null) return [];
    const message = "needs authorizedKeys or authorizedKeysFile: without them nobody may log in";
    return [source.faultAtKey(path, "KEY_MISSING", message)];
  });
}

/** Whoever can reach it reads the names of members and databases, and how they are: others on the network only if somebody wants that. */
function httpFaults({ source, members }: Checked): Fault[] {
  return members.flatMap(({ name, http }) => {
    if (http === undefined || http.tls !== null || http.allowPlain || isLoopback(http.address)) return [];
    const message = `other machines reach ${http.address}, and HTTP without TLS hides nothing: give \`tls\`, or say \`allowPlain: true\``;
    return [source.faultAtKey(["members", name, "http"], "HTTP_EXPOSED", message)];
  });
}

/** What may take over, or be promoted, must not lie behind by a night. */
function integrationFaults({ source, members }: Checked): Fault[] {
  return members.flatMap(({ name, type, integrate }) => {
    if (integrate.kind === "continuous" || type === "reporting") return [];
    const message = `only a member of type reporting integrates by a schedule; this one is of type ${type}`;
    return [source.faultAt(["members", name, "integrate"], "VALUE_INVALID", message)];
  });
}

/** Two members on one machine must not use the same files; on different machines the same paths are usual. */
function sharedPlaces({ source, members }: Checked): Fault[] {
  const mailboxes = new Places(source, "MAILBOX_SHARED");
  const states = new Places(source, "STATE_SHARED");
  const databases = new Places(source, "DATABASE_PATH_SHARED");
  for (const member of members) {
    const { name, mailbox } = member;
    const machine = machineOf(mailbox);
    mailboxes.take(`${machine} ${mailbox.path}`, ["members", name, "mailbox"]);
    states.take(`${machine} ${member.state}`, ["members", name, "state"]);
    for (const [database, path] of member.databases) {
      databases.take(`${databaseOwner(member)} ${path}`, ["members", name, "databases", database]);
    }
  }
  return [mailboxes, states, databases].flatMap(({ faults }) => faults);
}

/** Members that share directories may be on machines of their own, each with the database at the usual place. */
function databaseOwner({ name, mailbox }: CheckedMember): string {
  return mailbox.kind === "file" ? name : machineOf(mailbox);
}

/** What a pattern may find must be no other member's, and no other pattern's. A member's own named databases are not the pattern's. */
function sharedPatterns({ source, members }: Checked): Fault[] {
  const faults: Fault[] = [];
  const patterns: { owner: string; path: string; key: KeyPath }[] = [];
  for (const member of members) {
    const owner = databaseOwner(member);
    for (const { name, path } of member.databasePatterns) {
      const key = ["members", member.name, "databases", name];
      const named = members
        .filter((other) => other !== member && databaseOwner(other) === owner)
        .flatMap((other) =>
          [...other.databases].map(([database, file]) => ({
            owner,
            path: file,
            key: ["members", other.name, "databases", database],
          })),
        );
      const holder = [...patterns, ...named].find((other) => other.owner === owner && pathsMeet(other.path, path));
      if (holder === undefined) patterns.push({ owner, path, key });
      else faults.push(source.faultAt(key, "DATABASE_PATH_SHARED", `may be the same file as ${holder.key.join(".")}`));
    }
  }
  return faults;
}

class Places {
  readonly faults: Fault[] = [];
  readonly #taken = new Map<string, KeyPath>();
  readonly #source: YamlSource;
  readonly #code: "MAILBOX_SHARED" | "STATE_SHARED" | "DATABASE_PATH_SHARED";

  constructor(source: YamlSource, code: "MAILBOX_SHARED" | "STATE_SHARED" | "DATABASE_PATH_SHARED") {
    this.#source = source;
    this.#code = code;
  }

  take(place: string, path: KeyPath): void {
    const holder = this.#taken.get(place);
    if (holder === undefined) this.#taken.set(place, path);
    else this.faults.push(this.#source.faultAt(path, this.#code, `the same place as ${holder.join(".")}`));
  }
}

/** All file mailboxes count as one machine's, because all of their members can reach all of them. */
function machineOf(mailbox: Mailbox): string {
  return mailbox.kind === "file" ? "file" : `${mailbox.host.toLowerCase()}:${mailbox.port}`;
}

/** Others write into a mailbox: neither the state nor a database nor a backup may be within their reach. */
function exposedPlaces({ source, members }: Checked): Fault[] {
  return members.flatMap((member) => {
    const directory = mailboxDirectory(member);
    const places: [KeyPath, string][] = [[["members", member.name, "state"], member.state]];
    const patterns = member.databasePatterns.map(({ name, path }) => [name, path] as const);
    for (const [name, path] of [...member.databases, ...patterns]) {
      places.push([["members", member.name, "databases", name], dirname(path)]);
    }
    if (member.drill?.directory != null) {
      places.push([["members", member.name, "drill", "directory"], member.drill.directory]);
    }
    if (member.backup !== undefined) {
      places.push([["members", member.name, "backup", "directory"], member.backup.directory]);
    }
    return places
      .filter(([, path]) => mayLieIn(path, directory))
      .map(([path]) =>
        source.faultAt(path, "STATE_EXPOSED", `lies in the mailbox ${directory}, where other members write`),
      );
  });
}

/** @param path may have a `*`. */
function mayLieIn(path: string, directory: string): boolean {
  const depth = directory.split(sep).length;
  return directory === sep || pathsMeet(path.split(sep).slice(0, depth).join(sep), directory);
}

function databaseSets(checked: Checked): Fault[] {
  const { source, members } = checked;
  const operational = members.find(({ name }) => name === checked.operational);
  return members.flatMap((member) => {
    const upstream = members.find(({ name }) => name === member.follows) ?? operational;
    if (upstream === undefined || upstream === member) return [];
    const known = keysOf(upstream);
    const faults: Fault[] = [];
    for (const database of keysOf(member)) {
      if (known.some((other) => textsMeet(other, database))) continue;
      const path = ["members", member.name, "databases", database];
      const message = `${upstream.name}, which this member follows, has no database ${database}${meant(database, known)}`;
      faults.push(source.faultAtKey(path, "DATABASE_UNKNOWN", message));
    }
    const missing = operational === undefined ? [] : keysOf(operational).filter((key) => !holdsAll(member, key));
    if (member.type !== "reporting" && missing.length > 0) {
      const message = `lacks ${missing.join(", ")}: only a member of type reporting may have fewer databases`;
      faults.push(source.faultAtKey(["members", member.name, "databases"], "DATABASE_MISSING", message));
    }
    return faults;
  });
}

/** Names and patterns. */
function keysOf({ databases, databasePatterns }: CheckedMember): string[] {
  return [...databases.keys(), ...databasePatterns.map(({ name }) => name)];
}

/** Whether the member holds the database, or all that the pattern stands for. */
function holdsAll(member: CheckedMember, key: string): boolean {
  if (!isPattern(key)) return configuredPath(member, key) !== null;
  return member.databasePatterns.some(({ name }) => coversNames(name, key));
}

function unknownMember(name: string, names: readonly string[]): string {
  return `there is no member ${JSON.stringify(name)}${meant(name, names)}`;
}

function meant(name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known);
  return nearest === null ? "" : `; did you mean ${nearest}?`;
}
