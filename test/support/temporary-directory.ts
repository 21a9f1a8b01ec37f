/** Directories that go away with the test that asked for them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** Makes an empty directory that is removed when the running test has finished. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), "afterimage-test-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }));
  return path;
}
