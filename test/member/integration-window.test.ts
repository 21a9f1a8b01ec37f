import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { StateStore } from "../../src/journal/state-store.ts";
import { IntegrationWindow } from "../../src/member/integration-window.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const YEARLY = { kind: "cron", expression: "0 6 1 1 *" } as const;

function openLedger() {
  const store = StateStore.open(join(temporaryDirectory(), "state.db"), { mirror: "clinic", member: "porto" });
  onTestFinished(() => store.close());
  return store.integration;
}

test("before its first time a window has not been open; at its time it is, and the next one lies ahead", async () => {
  const window = new IntegrationWindow(openLedger());
  expect(window.at({ kind: "continuous" }, "UTC")).toBeNull();
  const yearly = window.at(YEARLY, "UTC");
  expect(yearly?.lastMs).toBe(Number.NEGATIVE_INFINITY);
  expect(new Date(yearly?.nextMs ?? 0).toISOString()).toMatch(/-01-01T06:00:00.000Z$/);
  const everySecond = { kind: "cron", expression: "* * * * * *" } as const;
  const opened = await waitUntil(
    () => {
      const now = window.at(everySecond, "UTC");
      return now !== null && now.lastMs > 0 ? now : null;
    },
    { what: "the window opens", stalledAfterMs: 20_000, progress: () => "" },
  );
  expect(opened.lastMs).toBeLessThanOrEqual(Date.now());
  expect(opened.nextMs).toBeGreaterThan(opened.lastMs);
});

test("a time that passed while nobody served has been, and counts for another process, but not for another schedule", () => {
  const ledger = openLedger();
  new IntegrationWindow(ledger).at(YEARLY, "UTC");
  const stored = ledger.window();
  expect(stored).toMatchObject({ lastMs: null });
  ledger.saveWindow({ schedule: stored?.schedule ?? "", lastMs: 1, nextMs: 1_000_000 });
  expect(new IntegrationWindow(ledger).at(YEARLY, "UTC")?.lastMs).toBe(1_000_000);
  const next = new IntegrationWindow(ledger).at(YEARLY, "UTC");
  expect(next?.lastMs).toBe(1_000_000);
  expect(next?.nextMs).toBeGreaterThan(Date.now());
  expect(new IntegrationWindow(ledger).at(YEARLY, "Europe/Lisbon")?.lastMs).toBe(Number.NEGATIVE_INFINITY);
});
