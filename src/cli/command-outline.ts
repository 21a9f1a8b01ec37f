/** What there is to type, read from the commands themselves: shell completion and the manual page are made from it. */
import { type Argument, type Command, Help, type Option } from "commander";

/** What a value is: one of these words, or what can be looked up. */
export type ValueKind =
  | { readonly of: "words"; readonly words: readonly string[] }
  | { readonly of: "member" | "database" | "file" | "anything"; readonly isList: boolean };

export interface OptionOutline {
  /** As in the help text: `-f, --format <format>`. */
  readonly flags: string;
  /** What is typed, the long form last. */
  readonly names: readonly string[];
  readonly description: string;
  /** Null when it takes none. */
  readonly value: ValueKind | null;
  readonly isValueOptional: boolean;
}

export interface ArgumentOutline {
  readonly value: ValueKind;
  readonly description: string;
  /** As in the usage line: `[database...]`. */
  readonly term: string;
  readonly isVariadic: boolean;
}

export interface CommandOutline {
  /** With the commands above it: `afterimage backup list`. */
  readonly path: string;
  readonly name: string;
  readonly description: string;
  /** What follows the path: `[options] [database...]`. */
  readonly usage: string;
  readonly options: readonly OptionOutline[];
  readonly arguments: readonly ArgumentOutline[];
  readonly commands: readonly CommandOutline[];
}

/** Without what is hidden from the help text. */
export function outline(command: Command, above = ""): CommandOutline {
  const help = new Help();
  const path = `${above}${command.name()}`;
  const isHelp = command.name() === "help";
  return {
    ...{ path, name: command.name(), description: command.description(), usage: command.usage() },
    options: isHelp ? [] : help.visibleOptions(command).map(optionOutline),
    arguments: command.registeredArguments.map(argumentOutline),
    commands: isHelp ? [] : help.visibleCommands(command).map((each) => outline(each, `${path} `)),
  };
}

function optionOutline(option: Option): OptionOutline {
  const takesValue = option.required || option.optional;
  const placeholder = /[<[](.*?)(?:\.\.\.)?[>\]]$/.exec(option.flags)?.[1] ?? "";
  return {
    flags: option.flags,
    names: [option.short, option.long].filter((name) => name !== undefined && name !== null),
    description: option.description,
    value: takesValue ? valueKind(placeholder, option.argChoices, option.long ?? "") : null,
    isValueOptional: option.optional,
  };
}

function argumentOutline(argument: Argument): ArgumentOutline {
  const name = argument.variadic ? `${argument.name()}...` : argument.name();
  return {
    value: valueKind(argument.name(), argument.argChoices),
    description: argument.description,
    term: argument.required ? `<${name}>` : `[${name}]`,
    isVariadic: argument.variadic,
  };
}

/** By the words that the help text uses for values. */
function valueKind(placeholder: string, choices: readonly string[] | undefined, long = ""): ValueKind {
  if (choices !== undefined) return { of: "words", words: choices };
  const isList = placeholder === "names";
  const noun = isList || placeholder === "name" ? long.replace(/^--|s$/g, "") : placeholder;
  switch (noun) {
    case "member":
    case "operational":
      return { of: "member", isList };
    case "database":
      return { of: "database", isList };
    case "file":
    case "path":
    case "place":
      return { of: "file", isList };
    default:
      return { of: "anything", isList };
  }
}
