/** `afterimage man`: the manual page, in the language of man(7), made from the commands themselves. */
import type { Command } from "commander";
import { programVersion } from "../program-version.ts";
import { type CommandOutline, type OptionOutline, outline } from "./command-outline.ts";
import { EXIT, EXIT_MEANINGS } from "./exit-codes.ts";
import { CONFIGURATION_FILE } from "./open-configuration.ts";
import type { Register } from "./register.ts";

const DESCRIPTION = `Afterimage keeps copies of live SQLite databases on other machines: readable at all times, equal page by page, and ready
to take over. The journal of a database is cut into segments, which are shipped by SFTP and integrated in order. Commands ask the
running daemon, and do the work themselves, under the same lock, when none runs.`;

const FILES: readonly (readonly [string, string])[] = [
  [CONFIGURATION_FILE, "The configuration, in the working directory."],
  [`/etc/${CONFIGURATION_FILE}`, "The configuration when the working directory holds none."],
];

const ENVIRONMENT: readonly (readonly [string, string])[] = [
  ["AFTERIMAGE_NODE", "The member that this machine is, when `--node` is not given."],
  ["NOTIFY_SOCKET, WATCHDOG_USEC", "Where `run` tells a service manager how it is, as sd_notify(3) describes."],
];

export function manualPage(program: CommandOutline): string {
  const exits = Object.entries(EXIT_MEANINGS).map(([name, meaning]) => [codeOf(name), meaning] as const);
  return [
    `.TH AFTERIMAGE 1 "" ${quoted(`afterimage ${programVersion()}`)} ${quoted("User Commands")}`,
    ...section("NAME", [`${program.name} \\- ${roff(program.description.replace(/\.$/, ""))}`]),
    ...section("SYNOPSIS", [`.B ${program.name}`, roff("[options] COMMAND [arguments]")]),
    ...section("DESCRIPTION", [roff(DESCRIPTION)]),
    ...section("OPTIONS", program.options.flatMap(optionLines)),
    ...section("COMMANDS", program.commands.flatMap(commandLines)),
    ...section("EXIT STATUS", exits.flatMap(item)),
    ...section("FILES", FILES.flatMap(item)),
    ...section("ENVIRONMENT", ENVIRONMENT.flatMap(item)),
    ...section("SEE ALSO", [".BR sqlite3 (1),", ".BR sshd_config (5),", ".BR systemd.service (5)"]),
  ].join("\n");
}

function codeOf(name: string): string {
  return String(Object.entries(EXIT).find(([key]) => key === name)?.[1] ?? "");
}

function section(title: string, lines: readonly string[]): string[] {
  return [`.SH ${quoted(title)}`, ...lines];
}

/** Each command that does something, those below another one with their whole names. */
function commandLines(command: CommandOutline): string[] {
  const usage = command.usage.replace(/ \[command\]/, "");
  const own = [
    `.SS ${quoted(roff(`${command.path.replace(/^\S+ /, "")} ${usage}`.trim()))}`,
    roff(sentence(command.description)),
    ...command.arguments.flatMap(({ term, description }) => (description === "" ? [] : item([term, description]))),
    ...command.options.filter(({ names }) => !names.includes("--help")).flatMap(optionLines),
  ];
  return [...own, ...command.commands.filter(({ name }) => name !== "help").flatMap(commandLines)];
}

function optionLines({ flags, description }: OptionOutline): string[] {
  return item([flags, description]);
}

function item([term, text]: readonly [string, string]): string[] {
  return [".TP", `.B ${quoted(roff(term))}`, roff(sentence(text))];
}

function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase();
  return `${first}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

/** Hyphens are those that are typed; what stands between backticks is bold. A line that begins with a dot would be a request. */
function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/`([^`]*)`/g, "\\fB$1\\fR")
    .replace(/^(?=[.'])/gm, "\\&");
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', "\\(dq")}"`;
}

export const registerMan: Register = (program, execute) => {
  program
    .command("man", { hidden: true })
    .description("print the manual page")
    .action((_options: object, command: Command) =>
      execute(command, async (_globals, io) => {
        io.out(manualPage(outline(program)));
        return EXIT.done;
      }),
    );
};
