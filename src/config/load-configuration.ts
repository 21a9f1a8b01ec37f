/** Reads `afterimage.yaml`: all faults at once, each with its place in the file. */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { resolve } from "node:path";
import type { z } from "zod";
import { errnoOf, messageOf } from "../errno.ts";
import { ConfigError, type Fault, formatFault } from "./config-error.ts";
import type { Configuration, MemberConfiguration } from "./configuration.ts";
import { type CheckedMember, crossChecks, mailboxDirectory } from "./cross-checks.ts";
import { type DatabaseSet, isPattern, patternFault } from "./database-pattern.ts";
import { keysOf, schemaAt } from "./key-notes.ts";
import { isLoopback } from "./loopback.ts";
import { databaseNameFault, memberNameFault } from "./names.ts";
import { type Sections, sections } from "./schema.ts";
import { sectionFaults } from "./section-faults.ts";
import { type Environment, type KeyPath, YamlSource } from "./yaml-source.ts";

export interface LoadOptions {
  /** For `${NAME}` in values; the process's own when not given. */
  readonly environment?: Environment;
  /** For `~`; the user's own when not given. */
  readonly home?: string;
}

type Outcome = { readonly configuration: Configuration } | { readonly faults: Fault[] };

/** @throws ConfigError CONFIG_MISSING, CONFIG_UNREADABLE, or CONFIG_INVALID with every fault of the file. */
export function loadConfiguration(path: string, options: LoadOptions = {}): Configuration {
  return parseConfiguration(readConfigurationFile(resolve(path)), path, options);
}

/** Reads a configuration that is, or will be, the content of the file `path`. @throws ConfigError CONFIG_INVALID. */
export function parseConfiguration(text: string, path: string, options: LoadOptions = {}): Configuration {
  const file = resolve(path);
  const outcome = new Loader(file, text, options).load();
  if ("configuration" in outcome) return outcome.configuration;
  const { faults } = outcome;
  const lines = faults.map((fault) => `\n  ${formatFault(path, fault)}`).join("");
  const count = faults.length === 1 ? "1 fault" : `${faults.length} faults`;
  throw new ConfigError("CONFIG_INVALID", `${count} in the configuration${lines}`, {
    path: file,
    hint: "correct the file; `afterimage config check` reads it again",
    faults,
  });
}

/** The faults of a configuration file in the order of their places; empty when it can be used. Throws only when it cannot be read. */
export function checkConfiguration(path: string, options: LoadOptions = {}): Fault[] {
  const file = resolve(path);
  const outcome = new Loader(file, readConfigurationFile(file), options).load();
  return "faults" in outcome ? outcome.faults : [];
}

function readConfigurationFile(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") {
      const hint = "name one with --config, or make one with `afterimage init`";
      throw new ConfigError("CONFIG_MISSING", "there is no configuration file", { path: file, hint, cause: error });
    }
    const message = `the configuration file cannot be read: ${messageOf(error)}`;
    throw new ConfigError("CONFIG_UNREADABLE", message, { path: file, cause: error });
  }
}

class Loader {
  readonly #file: string;
  readonly #source: YamlSource;
  readonly #sections: Sections;
  readonly #faults: Fault[] = [];

  constructor(file: string, text: string, { environment = process.env, home = homedir() }: LoadOptions) {
    this.#file = file;
    this.#source = new YamlSource(text, environment);
    this.#sections = sections(home);
  }

  load(): Outcome {
    const configuration = this.#configuration();
    const faults = distinct([...this.#source.faults, ...this.#faults]);
    if (faults.length > 0) return { faults };
    return configuration === null
      ? { faults: [this.#source.faultAt([], "YAML_SYNTAX", "no YAML")] }
      : { configuration };
  }

  #configuration(): Configuration | null {
    const value = this.#source.value();
    if (value === undefined) return null;
    const parsed = this.#sections.top.safeParse(value);
    if (!parsed.success) this.#addIssues([], parsed.error);
    // The members of a file with a fault elsewhere are checked all the same.
    const raw = isRecord(value) ? value : {};
    const members = this.#members(isRecord(raw.members) ? raw.members : {});
    const ssh = this.#section("ssh", this.#sections.ssh.safeParse(raw.ssh ?? {}));
    const journal = this.#section("journal", this.#sections.journal.safeParse(raw.journal ?? {}));
    const alerts = this.#section("alerts", this.#sections.alerts.safeParse(raw.alerts ?? {}));
    this.#crossCheck(raw, members, ssh?.knownHosts ?? null);
    if (!parsed.success || ssh === null || journal === null || alerts === null) return null;
    const { mirror, operational, onIsolation, timeZone = null } = parsed.data;
    const built = new Map(members.map((member) => [member.name, memberConfiguration(member)]));
    return { path: this.#file, mirror, operational, timeZone, onIsolation, members: built, ssh, journal, alerts };
  }

  #section<T>(key: string, parsed: z.ZodSafeParseResult<T>): T | null {
    if (parsed.success) return parsed.data;
    this.#addIssues([key], parsed.error);
    return null;
  }

  #members(raw: Record<string, unknown>): CheckedMember[] {
    const names = Object.keys(raw);
    this.#addNameFaults(["members"], names, memberNameFault, "MEMBER_NAME_INVALID", "MEMBER_NAME_DUPLICATE");
    return names.flatMap((name) => {
      const path = ["members", name];
      const parsed = this.#sections.member.safeParse(raw[name]);
      if (!parsed.success) {
        this.#addIssues(path, parsed.error);
        return [];
      }
      const { databases } = parsed.data;
      const ok = this.#checkDatabases([...path, "databases"], databases);
      return ok ? [{ ...parsed.data, name, ...databaseSet(databases) }] : [];
    });
  }

  #checkDatabases(path: KeyPath, databases: Readonly<Record<string, string>>): boolean {
    const before = this.#faults.length;
    const names = Object.keys(databases);
    if (names.length === 0)
      this.#faults.push(this.#source.faultAt(path, "KEY_MISSING", "at least one database is needed"));
    // Whatever the `*` stands for, the rest must be right.
    const faultOf = (name: string) => databaseNameFault(name.replace("*", "x"));
    this.#addNameFaults(path, names, faultOf, "DATABASE_NAME_INVALID", "DATABASE_NAME_DUPLICATE");
    for (const [name, file] of Object.entries(databases)) {
      const fault = patternFault({ name, path: file });
      if (fault !== null) this.#faults.push(this.#source.faultAt([...path, name], "DATABASE_PATTERN_INVALID", fault));
    }
    return this.#faults.length === before;
  }

  #addNameFaults(
    path: KeyPath,
    names: readonly string[],
    faultOf: (name: string) => string | null,
    invalid: "MEMBER_NAME_INVALID" | "DATABASE_NAME_INVALID",
    duplicate: "MEMBER_NAME_DUPLICATE" | "DATABASE_NAME_DUPLICATE",
  ): void {
    const seen = new Map<string, string>();
    for (const name of names) {
      const fault = faultOf(name);
      if (fault !== null) this.#faults.push(this.#source.faultAtKey([...path, name], invalid, fault));
      const other = seen.get(name.toLowerCase());
      seen.set(name.toLowerCase(), name);
      if (other === undefined) continue;
      const message = `differs from ${other} in letter case only`;
      this.#faults.push(this.#source.faultAtKey([...path, name], duplicate, message));
    }
  }

  #crossCheck(raw: Record<string, unknown>, members: readonly CheckedMember[], knownHosts: string | null): void {
    const operational = typeof raw.operational === "string" ? raw.operational : null;
    const names = isRecord(raw.members) ? Object.keys(raw.members) : [];
    this.#faults.push(...crossChecks({ source: this.#source, names, operational, members, knownHosts }));
  }

  #addIssues(at: KeyPath, error: z.ZodError): void {
    this.#faults.push(...sectionFaults(this.#source, at, error, (path) => this.#keysAt(path)));
  }

  #keysAt(path: KeyPath): readonly string[] {
    const section = schemaAt(this.#sections.file, path);
    return section === null ? [] : keysOf(section).map(([key]) => key);
  }
}

function databaseSet(databases: Readonly<Record<string, string>>): DatabaseSet {
  const entries = Object.entries(databases);
  return {
    databases: new Map(entries.filter(([name]) => !isPattern(name))),
    databasePatterns: entries.filter(([name]) => isPattern(name)).map(([name, path]) => ({ name, path })),
  };
}

function memberConfiguration(member: CheckedMember): MemberConfiguration {
  return {
    name: member.name,
    mailbox: member.mailbox.url,
    hostKey: member.hostKey ?? null,
    bandwidth: member.bandwidth ?? null,
    listen: member.listen ?? null,
    http: httpConfiguration(member),
    directory: mailboxDirectory(member),
    state: member.state,
    databases: member.databases,
    databasePatterns: member.databasePatterns,
    follows: member.follows,
    type: member.type,
    delayMs: member.delay,
    integrate: member.integrate,
    backup: member.backup ?? null,
    drill: member.drill ?? null,
    hooks: member.hooks,
    alerts: member.alerts,
  };
}

function httpConfiguration({ http }: CheckedMember): MemberConfiguration["http"] {
  if (http === undefined) return null;
  const { address, port, tls, page = isLoopback(address), names } = http;
  return { address, port, tls, page, names };
}

/** In the order of their places; an unset variable inside a path is one fault, not two. */
function distinct(faults: readonly Fault[]): Fault[] {
  const sorted = [...faults].sort((a, b) => a.line - b.line || a.column - b.column);
  const unset = new Set(sorted.filter(({ code }) => code === "VARIABLE_UNSET").map(placeOf));
  return sorted.filter((fault) => fault.code === "VARIABLE_UNSET" || !unset.has(placeOf(fault)));
}

function placeOf({ line, column }: Fault): string {
  return `${line}:${column}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
