/** `afterimage whois-operational`: who reigns in the highest epoch, also when everything is stopped. */
import type { Command } from "commander";
import { loadConfiguration } from "../config/load-configuration.ts";
import type { ReignEvidence } from "../runbook/reign-verdict.ts";
import type { WhoisResult } from "../runbook/whois-operational.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { configurationPath } from "./open-configuration.ts";
import type { Register } from "./register.ts";
import { formatTable } from "./table.ts";

async function whois(args: GlobalOptions, io: CommandIo): Promise<number> {
  const configuration = loadConfiguration(configurationPath(args, io), { environment: io.environment });
  const { whoisOperational } = await import("../runbook/whois-operational.ts");
  const result = await whoisOperational(configuration, Date.now());
  print(args, io, result, () => whoisLines(result));
  return exitCodeFor(result);
}

function exitCodeFor({ split, operational }: WhoisResult): ExitCode {
  if (split) return EXIT.outOfSync;
  return operational === null ? EXIT.unreachable : EXIT.done;
}

function whoisLines(result: WhoisResult): string[] {
  const { evidence, notAsked, outdated } = result;
  return [
    headline(result),
    ...(evidence.length === 0 ? [] : evidenceTable(evidence)),
    ...outdated.map(
      ({ member, epoch }) =>
        `${member} takes itself for operational in epoch ${epoch}: start it where it can reach others`,
    ),
    ...notAsked.map(({ member, reason }) => `${member} could not be asked, and may know of a later epoch: ${reason}`),
  ];
}

function headline({ mirror, epoch, operational, demoted, split, claims }: WhoisResult): string {
  if (epoch === null) return `Nothing that can be reached says who is operational in ${mirror}`;
  if (split) {
    const names = [...new Set(claims.map(({ member }) => member))].sort();
    const who = names.length === 1 ? `${names.join()} from different positions` : names.join(" and ");
    return `Epoch ${epoch} of ${mirror} is claimed twice, by ${who}: decide which copy is right before anything is started`;
  }
  if (demoted !== null)
    return `Nobody is operational in ${mirror}: ${demoted} gave its role up in epoch ${epoch}; promote a member`;
  if (operational === null)
    return `Epoch ${epoch} of ${mirror} has begun, and nothing that can be reached says whose it is`;
  return `${operational} is operational in ${mirror}, in epoch ${epoch}`;
}

function evidenceTable(evidence: readonly ReignEvidence[]): string[] {
  return formatTable(
    [
      { title: "Evidence" },
      { title: "Epoch", align: "right" },
      { title: "Operational" },
      { title: "Of" },
      { title: "Age s", align: "right" },
    ],
    evidence.map(({ source, of, epoch, operational, observedAt, ageSeconds }) => [
      `${source} of ${of}`,
      String(epoch),
      operational ?? "",
      observedAt ?? "",
      ageSeconds === null ? "" : String(ageSeconds),
    ]),
  );
}

export const registerWhoisOperational: Register = (program, execute) => {
  program
    .command("whois-operational")
    .description("say who is operational from all states and mailboxes within reach, also when everything is stopped")
    .action((_options: object, command: Command) => execute(command, whois));
};
