/** Mirror sets whose databases are named by patterns: an application makes and removes them while daemons run. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { parse, stringify } from "yaml";
import { type DemoSet, samePosition } from "../../src/demo/demo-set.ts";
import { createEntries } from "./entries.ts";
import { untilSet } from "./mirror-set.ts";

/** How each member writes the pattern: where the `*` is, is its own affair. */
const PATTERNS: Readonly<Record<string, string>> = {
  lisbon: "tenants/*.db",
  porto: "tenants/*/copy.sqlite",
  faro: "tenants/t-*.db",
};

export function tenantName(tenant: string): string {
  return `tenant-${tenant}`;
}

export function tenantPath(set: DemoSet, member: string, tenant: string): string {
  return join(set.root, member, (PATTERNS[member] ?? "").replace("*", tenant));
}

/** Rewrites the set's configuration file. */
export function configure(set: DemoSet, change: (configuration: ReturnType<typeof parse>) => void): void {
  const configuration = parse(readFileSync(set.configPath, "utf8"));
  change(configuration);
  writeFileSync(set.configPath, stringify(configuration));
}

/** Gives every member the pattern `tenant-*`, in place of its database, and an empty directory for it. */
export function useTenants(set: DemoSet): void {
  configure(set, ({ members }) => {
    for (const { member } of set.members) {
      members[member].databases = { "tenant-*": tenantPath(set, member, "*") };
      mkdirSync(join(set.root, member, "tenants"));
    }
  });
}

/** Makes a tenant's database where the application has it. */
export function addTenant(set: DemoSet, tenant: string): string {
  const path = tenantPath(set, set.operational, tenant);
  createEntries(path);
  return path;
}

/** What an application does that removes a database, after it was closed. */
export function removeTenant(set: DemoSet, tenant: string): void {
  for (const suffix of ["-wal", "-shm", ""])
    rmSync(`${tenantPath(set, set.operational, tenant)}${suffix}`, { force: true });
}

/** Copies a tenant's database with what is in its WAL, as one file in WAL mode. */
export function keepCopy(set: DemoSet, tenant: string): string {
  const copy = join(set.root, `${tenant}.kept`);
  const db = new Database(tenantPath(set, set.operational, tenant));
  db.prepare("VACUUM INTO ?").run(copy);
  db.close();
  const copied = new Database(copy);
  copied.pragma("journal_mode = WAL");
  copied.close();
  return copy;
}

/** The names of the databases that a member lists in its status. */
export function listed(set: DemoSet, member: string): string[] {
  return Object.keys(set.status(member)?.databases ?? {});
}

/** Waits until all members list exactly these tenants, and every mirror has integrated the end of each one's journal. */
export async function untilTenants(set: DemoSet, tenants: readonly string[]): Promise<void> {
  const names = tenants.map(tenantName).sort();
  for (const { member } of set.members) {
    await untilSet(set, `${member} has ${names.join(", ")}`, () => {
      const { databases } = set.status(member) ?? {};
      if (databases === undefined || Object.keys(databases).sort().join() !== names.join()) return false;
      return names.every((name) => isLevel(set, member, name));
    });
  }
}

function isLevel(set: DemoSet, member: string, name: string): boolean {
  const end = set.status(set.operational)?.databases[name]?.operational ?? null;
  const position = set.status(member)?.databases[name]?.integrated ?? null;
  return end !== null && position !== null && samePosition(end, position);
}

/** The mirrors that have a copy of the tenant's database. */
export function copies(set: DemoSet, tenant: string): string[] {
  return set.mirrors.map(({ member }) => member).filter((member) => existsSync(tenantPath(set, member, tenant)));
}
