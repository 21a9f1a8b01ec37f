/**
 * The text of a configuration file: its values, and where in the file each of them stands.
 *
 * Variables are expanded in values only, after parsing: what a variable holds can change no key and no structure.
 */
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from "yaml";
import { messageOf } from "../errno.ts";
import type { Fault, FaultCode } from "./config-error.ts";

export type KeyPath = readonly (string | number)[];
export type Environment = Readonly<Record<string, string | undefined>>;

/** YAML aliases may multiply a small file into a huge value. */
const MAX_ALIASES = 100;
const QUOTE_STARS = 'a value that begins with * must be in quotes: "*/10 * * * * *"';
const QUOTE_VARIABLES = "a value with a variable must be in quotes when it stands inside { } or [ ]";

export class YamlSource {
  readonly #document: Document.Parsed;
  readonly #lines: LineCounter;
  readonly #faults: Fault[] = [];

  constructor(text: string, environment: Environment) {
    this.#lines = new LineCounter();
    // Keys are text even where they look like numbers: a member named 007 is not member 7.
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, stringKeys: true });
    this.#addSyntaxFaults(text);
    this.#refusePrototypeKeys();
    this.#expandVariables(environment);
  }

  /** What is wrong with the file as YAML, and variables that are not set. */
  get faults(): readonly Fault[] {
    return this.#faults;
  }

  /** The file as plain values; undefined when it is not YAML. */
  value(): unknown {
    if (this.#faults.some(({ code }) => code === "YAML_SYNTAX")) return undefined;
    try {
      return this.#document.toJS({ maxAliasCount: MAX_ALIASES });
    } catch (error) {
      this.#addSyntaxFault(0, messageOf(error));
      return undefined;
    }
  }

  /** Whether the file has something at this path. */
  has(path: KeyPath): boolean {
    return this.#document.hasIn(path);
  }

  /** A fault at the value of `path`, or, when that is missing, at the nearest key above it. */
  faultAt(path: KeyPath, code: FaultCode, message: string): Fault {
    return this.#fault(this.#offsetOf(path, "value"), path, code, message);
  }

  /** A fault at the key that ends `path`. */
  faultAtKey(path: KeyPath, code: FaultCode, message: string): Fault {
    return this.#fault(this.#offsetOf(path, "key"), path, code, message);
  }

  #fault(offset: number, path: KeyPath, code: FaultCode, message: string): Fault {
    const { line, col } = this.#lines.linePos(offset);
    return { code, message, line: Math.max(line, 1), column: Math.max(col, 1), path: path.join(".") };
  }

  /** Offset in the text of the deepest part of `path` that exists. */
  #offsetOf(path: KeyPath, wanted: "key" | "value"): number {
    let node: unknown = this.#document.contents;
    let offset = startOf(node) ?? 0;
    for (const [depth, part] of path.entries()) {
      const found = this.#child(node, part);
      if (found === null) return offset;
      const keyOffset = startOf(found.key);
      const valueOffset = startOf(found.value);
      const last = depth === path.length - 1;
      offset = (last && wanted === "value" ? valueOffset : keyOffset) ?? valueOffset ?? keyOffset ?? offset;
      node = found.value;
    }
    return offset;
  }

  #child(parent: unknown, part: string | number): { key: unknown; value: unknown } | null {
    const node = isAlias(parent) ? parent.resolve(this.#document) : parent;
    if (isSeq(node)) {
      const value = node.items[Number(part)];
      return value === undefined ? null : { key: null, value };
    }
    if (!isMap(node)) return null;
    return node.items.find((item) => isScalar(item.key) && item.key.value === part) ?? null;
  }

  #addSyntaxFaults(text: string): void {
    visit(this.#document, {
      Alias: (_, alias) => {
        if (alias.resolve(this.#document) !== undefined) return;
        // `rotate: */10 * * * * *` is YAML for a reference to something named /10.
        const stars = alias.source.startsWith("/");
        this.#addSyntaxFault(
          startOf(alias) ?? 0,
          stars ? QUOTE_STARS : `there is no anchor &${alias.source} above this`,
        );
      },
    });
    for (const problem of [...this.#document.errors, ...this.#document.warnings]) {
      const offset = problem.pos[0];
      if (problem.code === "DUPLICATE_KEY") {
        this.#faults.push(this.#fault(offset, [], "KEY_DUPLICATE", "this key stands here a second time"));
      } else {
        const start = text.slice(Math.max(offset - 1, 0), offset + 1);
        this.#addSyntaxFault(
          offset,
          start.endsWith("*") ? QUOTE_STARS : start === "${" ? QUOTE_VARIABLES : problem.message,
        );
      }
    }
  }

  /** The first fault of a line is the true one: the parser stumbles on over what follows. */
  #addSyntaxFault(offset: number, message: string): void {
    const fault = this.#fault(offset, [], "YAML_SYNTAX", message);
    if (!this.#faults.some(({ code, line }) => code === "YAML_SYNTAX" && line === fault.line)) this.#faults.push(fault);
  }

  #refusePrototypeKeys(): void {
    visit(this.#document, {
      Pair: (_, pair) => {
        if (!isScalar(pair.key) || pair.key.value !== "__proto__") return undefined;
        this.#faults.push(
          this.#fault(startOf(pair.key) ?? 0, ["__proto__"], "KEY_UNKNOWN", "this name cannot be used"),
        );
        return visit.REMOVE;
      },
    });
  }

  #expandVariables(environment: Environment): void {
    visit(this.#document, {
      Scalar: (key, node) => {
        if (key === "key" || typeof node.value !== "string") return;
        node.value = expandVariables(node.value, environment, (message) => {
          this.#faults.push(this.#fault(startOf(node) ?? 0, [], "VARIABLE_UNSET", message));
        });
      },
    });
  }
}

function startOf(node: unknown): number | null {
  return isNodeWithRange(node) ? node.range[0] : null;
}

function isNodeWithRange(node: unknown): node is Node & { range: [number, number, number] } {
  return (isScalar(node) || isMap(node) || isSeq(node) || isAlias(node)) && Array.isArray(node.range);
}

/** Replaces `${NAME}` by the variable; `$${` stands for `${` itself. What cannot be replaced stays, and is reported. */
function expandVariables(text: string, environment: Environment, report: (message: string) => void): string {
  return text.replace(/(\$?)\$\{([^}]*)\}?/g, (match, dollar: string, name: string) => {
    if (dollar !== "") return match.slice(1);
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (value !== undefined && match.endsWith("}")) return value;
    report(`the environment variable ${name === "" ? "without a name" : name} is not set`);
    return match;
  });
}
