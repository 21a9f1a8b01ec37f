/** Begins to unfence <path> and stops for ever at the append step <step>, to be killed there. */
import { writeSync } from "node:fs";
import { unfence } from "../../src/sqlite/fence.ts";

const [path = "", step] = process.argv.slice(2);

await unfence(path, {
  onStep: (reached) => {
    if (reached !== step) return;
    writeSync(1, `${reached}\n`);
    for (;;);
  },
});
