/** What one copy of a database has and another has not, as it is written to `report.json`. */
import type { ReportedValue } from "./reported-value.ts";

/** Version 1: the first. */
export const REPORT_VERSION = 1;

export interface DivergenceReport {
  readonly version: typeof REPORT_VERSION;
  /** The copy whose transactions are in no later epoch. */
  readonly lost: string;
  /** The copy that everybody goes on with. */
  readonly winning: string;
  /** Of which states these copies are, and where their histories part; absent when nobody has said so. */
  readonly positions?: ComparedPositions;
  /** Whether everything could be compared, and is equal. */
  readonly equal: boolean;
  /** Tables, indexes, views and triggers that only one has, or that are defined in other words; by type and name. */
  readonly schema: readonly SchemaDifference[];
  /** Tables with rows that differ, by name. */
  readonly tables: readonly TableDifference[];
  /** Tables of both copies whose rows are equal, by name. */
  readonly equalTables: readonly string[];
  /** What says nothing about its rows here, by name. */
  readonly notCompared: readonly NotCompared[];
}

/** `epoch:txid:checksum`. */
export interface ComparedPositions {
  readonly lost: string;
  readonly winning: string;
  /** The last state that both have in common; null when there is none. */
  readonly fork: string | null;
}

export interface SchemaDifference {
  readonly type: string;
  readonly name: string;
  /** The statement that made it; null where there is none. */
  readonly lost: string | null;
  readonly winning: string | null;
}

export interface NotCompared {
  readonly name: string;
  readonly reason: string;
  /** Whether the rows are known to be equal all the same. */
  readonly equal: boolean;
}

/**
 * How a row of one copy is found in the other: by its primary key, by its rowid, or, where neither will do, only by being
 * equal in every column; then a row that was changed is one that only the one has and one that only the other has.
 */
export type KeyKind = "primary key" | "rowid" | "whole row";

export interface TableDifference {
  readonly name: string;
  readonly foundBy: KeyKind;
  /** Rows of each copy; null where it has no such table. */
  readonly rows: { readonly lost: number | null; readonly winning: number | null };
  readonly onlyInLost: Listing<ReportedRow>;
  readonly onlyInWinning: Listing<ReportedRow>;
  readonly changed: Listing<ChangedRow>;
}

/** The first rows in the order of their keys, and how many there are in all. */
export interface Listing<T> {
  readonly count: number;
  readonly rows: readonly T[];
}

export interface NamedValue {
  readonly column: string;
  readonly value: ReportedValue;
}

export interface ReportedRow {
  /** Empty for `whole row`. */
  readonly key: readonly NamedValue[];
  /** The other columns, without generated ones: these follow from the others. */
  readonly values: readonly NamedValue[];
  /** How many such rows more than the other copy has; 1 unless found by `whole row`. */
  readonly copies: number;
}

export interface ChangedRow {
  readonly key: readonly NamedValue[];
  /** The columns that differ; one that a copy does not have counts as NULL there. */
  readonly changes: readonly {
    readonly column: string;
    readonly lost: ReportedValue;
    readonly winning: ReportedValue;
  }[];
}
