/**
 * Builds what the package holds besides this tree: dist/ (the program, and the declarations that `import "afterimage"` needs) and
 * man/. It runs on Node 24, which npm puts first in the PATH of its scripts.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const dist = path.join(root, "dist");
const declarations = path.join(root, "dist-types");

function run(program, ...programArguments) {
  return execFileSync(program, programArguments, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
}

function compile(project, ...flags) {
  run(path.join(root, "node_modules", ".bin", "tsc"), "-p", project, ...flags);
}

/** Of all that the compiler writes, what a consumer's compiler reads: `entry`, and what declarations name that it has read. */
function copyDeclarations(entry) {
  const reached = new Set([entry]);
  for (const file of reached) {
    const text = readFileSync(path.join(declarations, file), "utf8");
    for (const [, name] of text.matchAll(/(?:from |import\()"(\.[^"]+)\.ts"/g)) {
      reached.add(`${path.join(path.dirname(file), name)}.d.ts`);
    }
    cpSync(path.join(declarations, file), path.join(dist, file));
  }
}

for (const directory of ["dist", "dist-types", "man"])
  rmSync(path.join(root, directory), { recursive: true, force: true });
compile("tsconfig.build.json");
compile("tsconfig.types.json", "--outDir", declarations);
copyDeclarations("index.d.ts");
rmSync(declarations, { recursive: true });
mkdirSync(path.join(root, "man"));
writeFileSync(path.join(root, "man", "afterimage.1"), run(process.execPath, "dist/cli/main.js", "man"));
