/**
 * What is written about the configuration's keys from their schema: docs/CONFIG.md, with the tables in place of the markers
 * of config-document.md, and the JSON Schema for editors.
 */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { coreSchema, innerSchema, type KeyNote, keysOf, noteOf, schemaAt } from "../src/config/key-notes.ts";
import { sections } from "../src/config/schema.ts";

const TEMPLATE = new URL("config-document.md", import.meta.url);
/** `{{keys}}` for the top level, `{{keys journal}}` for a section. */
const MARKER = /^\{\{keys ?(\S*)\}\}$/gm;
const HEAD = "| key | type | default | meaning |\n| --- | --- | --- | --- |\n";

interface Schema {
  readonly schema: z.core.$ZodType;
  /** Dotted, with NAME for any member's name; empty for the top level. */
  readonly path: string;
}

/** The whole of docs/CONFIG.md. Throws when a key has no description, or a section no place. */
export function configurationDocument(): string {
  const template = readFileSync(TEMPLATE, "utf8");
  const { file } = sections("/");
  const described = new Set([...template.matchAll(MARKER)].map(([, path = ""]) => path));
  return template.replace(MARKER, (_, path: string) => {
    const schema = schemaAt(file, path === "" ? [] : path.split("."));
    if (schema === null) throw new Error(`there is no section ${path}`);
    return HEAD + keyRows({ schema, path }, described, "").join("\n");
  });
}

/** The keys within a section that has no table of its own come after it, as `tls.key`. */
function keyRows({ schema, path }: Schema, described: ReadonlySet<string>, prefix: string): string[] {
  return keysOf(schema).flatMap(([key, value]) => {
    const at = path === "" ? key : `${path}.${key}`;
    const entries = coreSchema(value) instanceof z.ZodRecord ? `${at}.NAME` : at;
    const note = noteOf(value);
    if (value.description === undefined) throw new Error(`the key ${at} has no description`);
    const row = `| \`${prefix}${key}\` | ${kindOf(value, note)} | ${defaultOf(value, note)} | ${value.description} |`;
    const elsewhere = note.sameAs ?? entries;
    const within = described.has(elsewhere) ? [] : keyRows({ schema: value, path: at }, described, `${prefix}${key}.`);
    return [row, ...within];
  });
}

function kindOf(schema: z.core.$ZodType, note: KeyNote): string {
  if (note.written !== undefined) return note.written;
  const core = coreSchema(schema);
  if (core instanceof z.ZodObject || core instanceof z.ZodRecord) return "mapping";
  if (core instanceof z.ZodArray) return `list of ${kindOf(core.element, noteOf(core.element))}`;
  if (core instanceof z.ZodBoolean) return "`true` or `false`";
  if (core instanceof z.ZodEnum) return alternatives(core.options.map(String));
  return "text";
}

function alternatives(values: readonly string[]): string {
  const quoted = values.map((value) => `\`${value}\``);
  return `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
}

function defaultOf(schema: z.core.$ZodType, { otherwise }: KeyNote): string {
  if (otherwise !== undefined) return otherwise;
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) return writtenValue(schema.def.defaultValue);
  return schema instanceof z.ZodOptional ? "none" : "required";
}

/** In quotes where YAML asks for them: a cron expression. */
function writtenValue(value: unknown): string {
  const text = String(value);
  if (text === "") return "none";
  return text.includes("*") ? `\`"${text}"\`` : `\`${text}\``;
}

/** The JSON Schema of the file, for editors; it knows keys one by one, and not what they must agree on. */
export function configurationSchema(): string {
  const schema = z.toJSONSchema(sections("/").file, {
    target: "draft-7",
    io: "input",
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema }) => {
      Object.assign(jsonSchema, noteOf(zodSchema).json);
      if (jsonSchema.description !== undefined) jsonSchema.description = withoutLinks(jsonSchema.description);
      if (innerSchema(zodSchema) !== null && typeof jsonSchema.default === "object") delete jsonSchema.default;
    },
  });
  return `${jsonText({ title: "afterimage.yaml", ...schema }, "")}\n`;
}

/** With a line for each key of the configuration. */
function jsonText(value: unknown, indent: string): string {
  const inner = typeof value === "object" && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
  if (!inner.some(([, field]) => typeof field === "object" && !Array.isArray(field))) return JSON.stringify(value);
  const deeper = `${indent}  `;
  const fields = inner.map(([key, field]) => `${deeper}${JSON.stringify(key)}: ${jsonText(field, deeper)}`);
  return `{\n${fields.join(",\n")}\n${indent}}`;
}

function withoutLinks(markdown: string): string {
  return markdown.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1");
}
