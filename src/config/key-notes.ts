/** What docs/CONFIG.md says of a key besides its description, where zod has no word for it. */
import { z } from "zod";

export interface KeyNote {
  /** The kind of value, as the document's column has it: `duration, at most 3650d`. */
  readonly written?: string;
  /** What holds when the key is not given, where the schema has no default. */
  readonly otherwise?: string;
  /** The section that describes the keys within, when it is described elsewhere. */
  readonly sameAs?: string;
  /** Keywords of JSON Schema that the schema's own translation lacks. */
  readonly json?: Readonly<Record<string, unknown>>;
}

const registry = z.registry<KeyNote>();

/** Notes it for `schema`, and what is made of it by `optional`, `prefault`, `pipe` and the like. */
export function noted<T extends z.ZodType>(schema: T, note: KeyNote): T {
  const clone = schema.clone();
  registry.add(clone, note);
  return clone;
}

/** What is noted of a schema; its own notes come before those of what it is made of. */
export function noteOf(schema: z.core.$ZodType): KeyNote {
  const inner = innerSchema(schema);
  return { ...(inner === null ? {} : noteOf(inner)), ...registry.get(schema) };
}

/** What a schema only adds something to: a default, a transformation. Null when it is no such schema. */
export function innerSchema(schema: z.core.$ZodType): z.core.$ZodType | null {
  if (schema instanceof z.ZodPipe) return schema.def.in instanceof z.ZodTransform ? schema.def.out : schema.def.in;
  const wraps = schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault;
  return wraps ? schema.def.innerType : null;
}

/** The schema of the values themselves, without what only adds something to it. */
export function coreSchema(schema: z.core.$ZodType): z.core.$ZodType {
  const inner = innerSchema(schema);
  return inner === null ? schema : coreSchema(inner);
}

/** By the key: the schema of a key of a section, or of any entry of a mapping; null when there is no such key. */
export function schemaAt(section: z.core.$ZodType, path: readonly (string | number)[]): z.core.$ZodType | null {
  const [key, ...rest] = path;
  if (key === undefined) return section;
  const core = coreSchema(section);
  if (core instanceof z.ZodRecord) return schemaAt(core.valueType, rest);
  const schema = core instanceof z.ZodObject ? core.shape[key] : undefined;
  return schema === undefined ? null : schemaAt(schema, rest);
}

/** The keys of a section; empty when the schema is none. */
export function keysOf(section: z.core.$ZodType): readonly (readonly [string, z.ZodType])[] {
  const core = coreSchema(section);
  return core instanceof z.ZodObject ? Object.entries(core.shape) : [];
}
