/** Builds programs of other projects with Go, so that tests can ask them what they think of our files. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const BUILD_LIMIT_MS = 280_000;

export type GoTool = { readonly path: string } | { readonly skipped: string };

/**
 * Installs `module` (`path@version`), whose program is called `binary`, into a cache directory, and returns its path. The
 * cache is keyed by module and version and is kept. Without Go, or when the module cannot be had, says why.
 */
export async function buildGoTool(module: string, binary: string): Promise<GoTool> {
  const cache = join(process.env.XDG_CACHE_HOME ?? tmpdir(), "afterimage-go-tools");
  const directory = join(cache, module.replaceAll(/[^\w.@-]/g, "_"));
  const path = join(directory, binary);
  if (existsSync(path)) return { path };
  try {
    await run("go", ["version"]);
  } catch {
    return { skipped: "Go is not installed" };
  }
  await mkdir(cache, { recursive: true });
  const building = await mkdtemp(join(cache, "building-"));
  try {
    const env = { ...process.env, GOBIN: building, GOFLAGS: "-mod=mod" };
    await run("go", ["install", module], { env, timeout: BUILD_LIMIT_MS });
    await mkdir(directory, { recursive: true });
    // Two test files may build the same program at once: each renames a whole one into place.
    await rename(join(building, binary), path);
    return { path };
  } catch (error) {
    return { skipped: `go install ${module} failed: ${error instanceof Error ? error.message : String(error)}` };
  } finally {
    await rm(building, { recursive: true, force: true });
  }
}
