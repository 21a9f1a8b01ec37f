/** `npm run docs`: writes what is made from the source. A test fails when a file is not what this writes. */
import { writeFileSync } from "node:fs";
import { GENERATED } from "./generated-files.ts";

for (const { url, content } of GENERATED) writeFileSync(url, content());
