import type { RoleView } from "../member/known-roles.ts";
import { formatTable } from "./table.ts";

/** The new roles, with which every command that changes them ends. */
export function roleLines(roles: readonly RoleView[]): string[] {
  return formatTable(
    [{ title: "Member" }, { title: "Role" }, { title: "State" }, { title: "Epoch", align: "right" }],
    roles.map(({ member, role, state, epoch }) => [member, role ?? "unknown", state, epoch === null ? "" : `${epoch}`]),
  );
}
