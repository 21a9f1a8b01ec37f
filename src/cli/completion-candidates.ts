/** What can follow on a command line that is being typed. */
import type { CommandOutline, OptionOutline, ValueKind } from "./command-outline.ts";

export interface Candidate {
  readonly word: string;
  readonly description: string;
}

/** Names that a configuration gives. */
export interface KnownNames {
  readonly members: readonly string[];
  readonly databases: readonly string[];
}

/** Instead of words: the shell is to complete the name of a file. */
export const FILES = "files";

interface Place {
  readonly command: CommandOutline;
  /** All that may be given here, also those of the program. */
  readonly options: readonly OptionOutline[];
  /** The one whose value is being typed. */
  readonly pending: OptionOutline | null;
  /** Arguments that stand before. */
  readonly position: number;
  /** Whether `--` stands before, after which nothing is an option. */
  readonly onlyArguments: boolean;
}

/**
 * @param words what was typed after the program's name; the last one is being typed, and may be empty.
 * @param names is called when a name can follow.
 */
export function completionCandidates(
  program: CommandOutline,
  words: readonly string[],
  names: () => KnownNames,
): readonly Candidate[] | typeof FILES {
  const typed = words.at(-1) ?? "";
  const place = placeAfter(program, words.slice(0, -1));
  const { command, options, pending, position, onlyArguments } = place;
  if (pending?.value != null) return valuesOf(pending.value, typed, pending.description, names);
  if (typed.startsWith("-") && !onlyArguments) {
    return startingWith(
      typed,
      options.flatMap(({ names: flags, description }) => flags.map((word) => ({ word, description }))),
    );
  }
  if (command.commands.length > 0 && position === 0) {
    const found = startingWith(
      typed,
      command.commands.map(({ name, description }) => ({ word: name, description })),
    );
    if (found.length > 0) return found;
  }
  const argument = command.arguments[position] ?? command.arguments.findLast(({ isVariadic }) => isVariadic);
  return argument === undefined ? [] : valuesOf(argument.value, typed, argument.description, names);
}

function placeAfter(program: CommandOutline, words: readonly string[]): Place {
  let place: Place = {
    ...{ command: program, options: program.options, pending: null, position: 0, onlyArguments: false },
  };
  for (const word of words) place = after(place, word, program);
  return place;
}

function after(place: Place, word: string, program: CommandOutline): Place {
  const { command, options, pending, position, onlyArguments } = place;
  if (pending !== null && !(pending.isValueOptional && word.startsWith("-"))) return { ...place, pending: null };
  if (!onlyArguments && word === "--") return { ...place, pending: null, onlyArguments: true };
  if (!onlyArguments && word.startsWith("-")) {
    const option = options.find(({ names, value }) => value !== null && names.includes(word));
    return { ...place, pending: option ?? null };
  }
  const next = position === 0 ? command.commands.find(({ name }) => name === word) : undefined;
  if (next === undefined) return { ...place, pending: null, position: position + 1 };
  const general = program.options.filter(({ names }) => !next.options.some((own) => own.names.at(-1) === names.at(-1)));
  return { ...place, command: next, options: [...next.options, ...general], pending: null };
}

function valuesOf(
  value: ValueKind,
  typed: string,
  description: string,
  names: () => KnownNames,
): readonly Candidate[] | typeof FILES {
  switch (value.of) {
    case "words":
      return describe(value.words, typed, description);
    case "member":
      return listed(names().members, typed, value.isList, "member");
    case "database":
      return listed(names().databases, typed, value.isList, "database");
    case "file":
      return FILES;
    case "anything":
      return [];
    default:
      return value satisfies never;
  }
}

/** In a list the words before the last comma stay, and are not offered again. */
function listed(words: readonly string[], typed: string, isList: boolean, description: string): readonly Candidate[] {
  const comma = isList ? typed.lastIndexOf(",") + 1 : 0;
  const before = typed.slice(0, comma);
  const given = new Set(before.split(","));
  const left = words.filter((word) => !given.has(word)).map((word) => `${before}${word}`);
  return describe(left, typed, description);
}

function describe(words: readonly string[], typed: string, description: string): readonly Candidate[] {
  return startingWith(
    typed,
    words.map((word) => ({ word, description })),
  );
}

function startingWith(typed: string, candidates: readonly Candidate[]): readonly Candidate[] {
  return candidates.filter(({ word }) => word.startsWith(typed));
}
