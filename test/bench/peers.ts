/** The programs that we compare with: built by Go, or found on the PATH. Where one cannot be had it says why. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { buildGoTool, type GoTool } from "../interop/go-tool.ts";

/** The same version that the interop tests speak with. */
export const LITESTREAM_MODULE = "github.com/benbjohnson/litestream/cmd/litestream@v0.5.16";

export function litestream(): Promise<GoTool> {
  return buildGoTool(LITESTREAM_MODULE, "litestream");
}

/** A program of the PATH, or of the directories where Debian puts servers. */
export function programOnPath(name: string): GoTool {
  const directories = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  for (const directory of directories) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return { path };
    } catch {
      // Not there; another directory may have it.
    }
  }
  return { skipped: `${name} is not installed` };
}
