/** The unit, as systemd itself reads and judges it, without a systemd that runs. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const UNIT = fileURLToPath(new URL("../../config/systemd/afterimage.service", import.meta.url));
/** Of 10, which is a service without any bounds; in tenths. What systemd calls OK ends at 50. */
const EXPOSURE_BOUND = 15;

function analyze(...args: string[]) {
  const { status, stdout, stderr, error } = spawnSync("systemd-analyze", args, { encoding: "utf8" });
  return { isMissing: error !== undefined, status, output: `${stdout}${stderr}`.trim() };
}

const { isMissing } = analyze("--version");

test.skipIf(isMissing)("systemd finds nothing to say about the unit", () => {
  expect(analyze("verify", "--man=no", UNIT)).toMatchObject({ status: 0, output: "" });
});

test.skipIf(isMissing)(`systemd rates what the unit may do at ${EXPOSURE_BOUND / 10} of 10 or better`, () => {
  const { status, output } = analyze("security", "--offline=true", `--threshold=${EXPOSURE_BOUND}`, "--no-pager", UNIT);
  expect(output).toContain("Overall exposure level");
  expect(status).toBe(0);
});

test("the unit uses what the daemon tells systemd", () => {
  const text = readFileSync(UNIT, "utf8");
  for (const line of ["Type=notify", "WatchdogSec=60s", "RestartPreventExitStatus=2 3"]) expect(text).toContain(line);
});

if (isMissing) console.warn("the systemd unit is not checked: systemd-analyze is not installed (Debian: systemd)");
