/** `afterimage validate`: whether a member is ready to take over, why not, and what a promotion would lose now. */
import type { Command } from "commander";
import type { PromotionReadiness } from "../member/readiness.ts";
import type { ValidateResult } from "../member/validation.ts";
import { checkLines } from "./check-lines.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { lossLines } from "./loss-lines.ts";
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

export const registerValidate: Register = (program, execute) => {
  program
    .command("validate")
    .description("say whether a member is ready for a switchover and for a promotion, and what that would lose")
    .argument("<member>", "name")
    .action((member: string, _options: object, command: Command) =>
      execute(command, (globals, io) => validate({ ...globals, member }, io)),
    );
};
