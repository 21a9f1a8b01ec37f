/** Who reigns, judged from what was found in states and mailboxes. Knows nothing of files and connections. */
import type { EpochDocument } from "../roles/role-documents.ts";

/** What one place says. */
export interface ReignEvidence {
  /** `state`: a state directory on this machine; `status`: a mailbox's status.json; `inbox`: what was shipped into a mailbox. */
  readonly source: "state" | "status" | "inbox";
  /** Whose state or mailbox it is. */
  readonly of: string;
  /** The newest epoch that it knows of. */
  readonly epoch: number;
  /** Who reigns in it; null for `inbox`, which tells only that the epoch has begun. */
  readonly operational: string | null;
  /** Whether the member itself reigned in `reigned` as far as it knew; null when not, or not known. */
  readonly reigned: number | null;
  /** Whether the member itself gave its role up in `epoch`. */
  readonly demoted: boolean;
  /** ISO 8601, and by this machine's clock; null when not known. */
  readonly observedAt: string | null;
  readonly ageSeconds: number | null;
  /** The epochs that it knows of; empty for `inbox`. */
  readonly history: readonly EpochDocument[];
}

/** Somebody who begins, or takes part in, the highest epoch as its operational member. */
export interface ReignClaim {
  readonly member: string;
  readonly by: string;
}

export interface ReignVerdict {
  /** The highest epoch; null when there is no evidence. */
  readonly epoch: number | null;
  /** Who reigns in it; null when nobody can tell, or several claim it, or who did has given the role up. */
  readonly operational: string | null;
  /** Who gave its role up in it: nobody reigns until a member is promoted; null when nobody did. */
  readonly demoted: string | null;
  /** What says so: all that claims the highest epoch for somebody. */
  readonly claims: readonly ReignClaim[];
  /** Whether two claim the epoch, or one from different positions. */
  readonly split: boolean;
  /** Members that take themselves for operational in a former epoch. */
  readonly outdated: readonly { readonly member: string; readonly epoch: number }[];
}

export function reignVerdict(evidence: readonly ReignEvidence[]): ReignVerdict {
  const epochs = evidence.flatMap(({ epoch, reigned, history }) => [
    epoch,
    ...(reigned === null ? [] : [reigned]),
    ...history.map((each) => each.epoch),
  ]);
  if (epochs.length === 0)
    return { epoch: null, operational: null, demoted: null, claims: [], split: false, outdated: [] };
  const highest = Math.max(...epochs);
  const claims = evidence.flatMap((each) => claimsOf(each, highest));
  const claimants = new Set(claims.map(({ member }) => member));
  const beginnings = new Set(evidence.flatMap((each) => beginningsOf(each, highest)));
  const split = claimants.size > 1 || beginnings.size > 1;
  const [only = null] = claimants;
  const demoted = evidence.find((each) => each.demoted && each.epoch === highest && each.of === only)?.of ?? null;
  return {
    epoch: highest,
    operational: split || demoted !== null ? null : only,
    demoted,
    claims,
    split,
    outdated: outdatedOf(evidence, highest),
  };
}

function claimsOf({ source, of, epoch, operational, reigned, history }: ReignEvidence, highest: number): ReignClaim[] {
  const by = `${source} of ${of}`;
  const members = new Set(history.filter((each) => each.epoch === highest).map(({ member }) => member));
  if (epoch === highest && operational !== null) members.add(operational);
  if (reigned === highest) members.add(of);
  return [...members].map((member) => ({ member, by }));
}

function beginningsOf({ history }: ReignEvidence, highest: number): string[] {
  return history
    .filter(({ epoch }) => epoch === highest)
    .map(({ starts }) => JSON.stringify(Object.entries(starts).sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** A member's state is newer than what its status said of it. */
function outdatedOf(evidence: readonly ReignEvidence[], highest: number): { member: string; epoch: number }[] {
  const told = evidence.filter(({ source }) => source !== "inbox");
  return [...new Set(told.map(({ of }) => of))].flatMap((member) => {
    const own = told.filter(({ of }) => of === member);
    const { reigned = null } = own.find(({ source }) => source === "state") ?? own[0] ?? {};
    return reigned !== null && reigned < highest ? [{ member, epoch: reigned }] : [];
  });
}
