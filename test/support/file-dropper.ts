/** Moves all files of one directory into another in random order, as fast as it can: <from> <to>. Says "done". */
import { readdirSync, renameSync } from "node:fs";
import { join } from "node:path";

const [from = "", to = ""] = process.argv.slice(2);
const names = readdirSync(from)
  .map((name) => ({ name, place: Math.random() }))
  .sort((a, b) => a.place - b.place);
for (const { name } of names) renameSync(join(from, name), join(to, name));
console.log("done");
