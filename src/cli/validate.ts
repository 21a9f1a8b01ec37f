/** `afterimage validate`: whether a member is ready to take over, why not, and what a promotion would lose now. */
import type { Command } from "commander";
import type { PossibleLoss, PromotionReadiness } from "../member/readiness.ts";
import type { ValidateResult } from "../member/validation.ts";
import { checkLines } from "./check-lines.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import type { Register } from "./register.ts";
import { withControl } from "./with-control.ts";

/** In the words of Data Guard's VALIDATE DATABASE. */
const PROMOTION: Readonly<Record<PromotionReadiness, string>> = {
  yes: "Yes",
  no: "No",
  "operational running": "Yes (operational running)",
};

interface ValidateArguments extends GlobalOptions {
  readonly member: string;
}

async function validate(args: ValidateArguments, io: CommandIo): Promise<number> {
  const result = await withControl(args, io, (control) => control.validate(args.member));
  print(args, io, result, () => validationLines(result, args));
  return result.ready ? EXIT.done : EXIT.refused;
}

function validationLines(
  { member, operational, switchover, promotion }: ValidateResult,
  args: GlobalOptions,
): string[] {
  const both = switchover.checks.map(({ check, message }) => `${check} ${message}`);
  // What both have looked at is shown once.
  const rest = promotion.checks.filter(({ check, message }) => !both.includes(`${check} ${message}`));
  return [
    `Member: ${member}; operational: ${operational}`,
    `Ready for switchover: ${switchover.ready ? "Yes" : "No"}`,
    ...switchover.checks.flatMap((check) => checkLines(check, args)).map(indented),
    `Ready for promotion: ${PROMOTION[promotion.ready]}`,
    ...rest.flatMap((check) => checkLines(check, args)).map(indented),
    "A promotion now would lose, as far as is known:",
    ...promotion.losses.flatMap(lossLines).map(indented),
  ];
}

function indented(line: string): string {
  return `  ${line}`;
}

function lossLines({ database, received, time, ageSeconds, transactions, seconds, ahead }: PossibleLoss): string[] {
  const span = seconds === null ? "" : ` of ${Math.round(seconds)} s`;
  const lost = transactions === null ? "nobody knows how much" : `${transactions} transactions${span}`;
  const age = ageSeconds === null ? "" : `, ${Math.round(ageSeconds)} s ago`;
  const last = `received last ${received ?? "nothing"}${time === null ? "" : `, cut ${time}${age}`}`;
  return [
    `${database}: ${lost}; ${last}`,
    ...ahead.map((other) => `  ${other.member} has ${other.transactions} transactions more`),
  ];
}

export const registerValidate: Register = (program, execute) => {
  program
    .command("validate")
    .description("say whether a member is ready for a switchover and for a promotion, and what that would lose")
    .argument("<member>", "name")
    .action((member: string, _options: object, command: Command) =>
      execute(command, (globals, io) => validate({ ...globals, member }, io)),
    );
};
