/** Connections to a real sshd that are cut in the middle of files, at points that a seed decides. */
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { startSshServer } from "./ssh-server.ts";
import { TcpProxy } from "./tcp-proxy.ts";

const MIB = 1024 * 1024;
/** Small ones, of which the cut often hits the opening or the naming, and one that is gone on with after a cut. */
const SIZES = [10_000, 3 * MIB, 40 * MIB];
/** What a transfer sends beside the file: opening, naming, and SSH's own. */
const OVERHEAD_BYTES = 1_000;

/** Files below a directory, with their paths. */
export function filesIn(directory: string): string[] {
  if (!existsSync(directory)) return [];
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" });
  return names.map((name) => join(directory, name)).filter((path) => statSync(path).isFile());
}

/** Cuts one put after another; each must leave nothing or a whole file under the name, and succeed when it is made again. */
export async function cutAtRandomPoints(cuts: number): Promise<void> {
  const server = await startSshServer();
  const proxy = await TcpProxy.start(server.mailbox.port);
  const transport = server.open({ port: proxy.port });
  const local = join(temporaryDirectory(), "local.ltx");
  const inbox = join(server.directory, "inbox");
  let failures = 0;
  const point = fc.record({ size: fc.constantFrom(...SIZES), part: fc.double({ min: 0, max: 1, noNaN: true }) });
  await fc.assert(
    fc.asyncProperty(point, async ({ size, part }) => {
      const contents = randomBytes(size);
      writeFileSync(local, contents);
      await transport.list("");
      proxy.cutAfter(Math.floor(part * (size + OVERHEAD_BYTES)) + 1);
      const outcome = await transport.put(local, "inbox/a.ltx").catch((error) => error.code);
      if (!["stored", "CONNECTION_LOST"].includes(outcome)) throw new Error(`unexpected: ${outcome}`);
      if (outcome === "CONNECTION_LOST") failures++;
      const path = join(inbox, "a.ltx");
      if (existsSync(path)) expect(readFileSync(path).equals(contents)).toBe(true);
      proxy.cutAfter(Number.POSITIVE_INFINITY);
      expect(await transport.put(local, "inbox/a.ltx")).toMatch(/^(stored|present)$/);
      expect(readFileSync(path).equals(contents)).toBe(true);
      expect(await transport.list("inbox")).toMatchObject([{ name: "a.ltx", size }]);
      rmSync(inbox, { recursive: true });
    }),
    { numRuns: cuts, endOnFailure: true, unbiased: true },
  );
  console.log(`${failures} of ${cuts} puts were cut before their end`);
}
