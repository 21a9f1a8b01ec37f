/** `npm run bench -- NAME...`: figures as ratios, measured in one run, in turn. Without a name it says which there are. */
import { cpus, release, totalmem } from "node:os";
import { parseArgs } from "node:util";
import type { Benchmark } from "./benchmark.ts";
import { BENCHMARKS } from "./benchmarks.ts";
import { reportLines } from "./report-lines.ts";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string" },
    only: { type: "string", multiple: true, default: [] },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});

const chosen: Benchmark[] = [];
for (const name of positionals) {
  const benchmark = BENCHMARKS.get(name);
  if (benchmark === undefined) fail(`there is no benchmark ${name}`);
  chosen.push(benchmark);
}
if (chosen.length === 0)
  fail("usage: npm run bench -- NAME... [--rounds N] [--seconds N] [--only SCENARIO]... [--quick] [--json]");

const options = {
  rounds: values.quick ? 1 : Number(values.rounds),
  seconds: values.seconds === undefined ? null : Number(values.seconds),
  quick: values.quick,
  only: values.only,
};
for (const [index, benchmark] of chosen.entries()) {
  const report = await benchmark.run(options, (line) => console.error(line));
  const machine = {
    cpu: cpus()[0]?.model ?? "",
    cores: cpus().length,
    memory: totalmem(),
    kernel: release(),
    node: process.version,
  };
  if (values.json) console.log(JSON.stringify({ benchmark: positionals[index], machine, options, ...report }));
  else for (const line of reportLines(report)) console.log(line);
}

function fail(message: string): never {
  console.error(message);
  for (const [name, { summary }] of BENCHMARKS) console.error(`  ${name.padEnd(10)}${summary}`);
  process.exit(2);
}
