/** `afterimage status -f tsv`: a line for each database of each member, with a heading; what is not known is empty. */
import { boundedLag, integrationLag, transportLag } from "../status/database-lag.ts";
import type { DatabaseStatus, MemberStatus, MirrorSetStatus } from "../status/member-status.ts";

type Value = string | number | boolean | null | undefined;

const COLUMNS: Readonly<Record<string, (member: MemberStatus, name: string, database?: DatabaseStatus) => Value>> = {
  member: ({ member }) => member,
  role: ({ role }) => role,
  type: ({ type }) => type,
  state: ({ state }) => state,
  reachable: ({ reachable }) => reachable,
  follows: ({ follows }) => follows,
  epoch: ({ epoch }) => epoch,
  database: (_, name) => name,
  received: (_, __, database) => database?.received?.txid,
  transport_lag_transactions: (_, __, database) => database && transportLag(database).transactions,
  transport_lag_seconds: (_, __, database) => database && boundedLag(transportLag(database), database).seconds,
  integrated: (_, __, database) => database?.integrated?.txid,
  integration_lag_transactions: (_, __, database) => database && integrationLag(database).transactions,
  integration_lag_seconds: (_, __, database) => database && boundedLag(integrationLag(database), database).seconds,
  upstream_age_seconds: ({ upstreamAgeSeconds }) => upstreamAgeSeconds,
  stale_seconds: (_, __, database) => database?.staleSeconds,
  error: ({ errors: [error] }, _, database) => database?.error?.code ?? error?.code,
};

export function statusTsv({ members }: MirrorSetStatus): string[] {
  const columns = Object.values(COLUMNS);
  const rows = members.flatMap((member) => {
    const databases: [string, DatabaseStatus?][] = Object.entries(member.databases);
    const lines = databases.length === 0 ? [[""] satisfies [string]] : databases;
    return lines.map(([name, database]) => columns.map((column) => String(column(member, name, database) ?? "")));
  });
  return [Object.keys(COLUMNS), ...rows].map((cells) => cells.join("\t"));
}
