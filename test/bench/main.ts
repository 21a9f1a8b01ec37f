/** `npm run bench -- NAME [--rounds N] [--seconds N] [--json]`: figures as ratios, measured in one run in turn. */
import { parseArgs } from "node:util";
import { benchWriters, formatWriters } from "./writers.ts";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "5" },
    json: { type: "boolean", default: false },
  },
});

const options = { rounds: Number(values.rounds), seconds: Number(values.seconds) };
const [name = "writers"] = positionals;
if (name !== "writers") {
  console.error(`there is no benchmark ${name}; there is: writers`);
  process.exit(2);
}
const results = await benchWriters(options);
if (values.json) console.log(JSON.stringify({ benchmark: name, ...options, results }));
else for (const line of formatWriters(results)) console.log(line);
