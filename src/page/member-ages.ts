/**
 * How old the copies of any member of the set are at most, by everything that one member knows: what that member says of itself, and
 * what receipts say that the members above it have.
 *
 * Guarantee: an age is a bound that is proved; silence makes it grow. Where several things prove it, the least counts.
 */
import type { MemberStatus, Receipt } from "../status/member-status.ts";
import type { MemberAges } from "./page-view.ts";

export interface KnownMember {
  readonly status: MemberStatus;
  /** Its document was written at most so long ago, by this machine's clock; 0 for this member's own; null when it is not known. */
  readonly newsSeconds: number | null;
}

export function memberAges(member: string, known: readonly KnownMember[]): MemberAges {
  const proofs = known.map((each) => (each.status.member === member ? ownWord(each) : receiptOf(each, member)));
  return {
    receivedSeconds: least(proofs.map(({ receivedSeconds }) => receivedSeconds)),
    integratedSeconds: least(proofs.map(({ integratedSeconds }) => integratedSeconds)),
  };
}

function ownWord({ status, newsSeconds }: KnownMember): MemberAges {
  const copies = Object.values(status.databases);
  const aged = (ages: readonly (number | null)[]) => plus(worst(ages), newsSeconds);
  return {
    receivedSeconds: aged(copies.map(({ receivedStaleSeconds = null }) => receivedStaleSeconds)),
    integratedSeconds: aged(copies.map(({ staleSeconds = null }) => staleSeconds)),
  };
}

function receiptOf({ status, newsSeconds }: KnownMember, member: string): MemberAges {
  const receipts = status.followers[member]?.databases ?? {};
  const bound = (lagOf: (receipt: Receipt) => number | null) => {
    const ages = Object.entries(status.databases).map(([name, { receivedStaleSeconds = null }]) => {
      const receipt = receipts[name];
      const lag = receipt === undefined ? null : lagOf(receipt);
      if (lag === 0) return receivedStaleSeconds;
      // A mirror counts by the newest segment that it has, which may be of yesterday.
      return status.role === "operational" ? lag : null;
    });
    return plus(worst(ages), newsSeconds);
  };
  return {
    receivedSeconds: bound(({ unreceivedSeconds = null }) => unreceivedSeconds),
    integratedSeconds: bound(({ lagSeconds }) => lagSeconds),
  };
}

function plus(seconds: number | null, more: number | null): number | null {
  return seconds === null || more === null ? null : seconds + more;
}

/** Null when one is not known, and when there are none: nothing is proved then. */
export function worst(ages: readonly (number | null)[]): number | null {
  if (ages.length === 0) return null;
  return ages.reduce((most, age) => (most === null || age === null ? null : Math.max(most, age)));
}

function least(ages: readonly (number | null)[]): number | null {
  const proved = ages.filter((age) => age !== null);
  return proved.length === 0 ? null : Math.min(...proved);
}
