/** A real browser: Chromium as Debian has it, without a window. */
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const CHROMIUM = "/usr/bin/chromium";
/** It asks nobody for anything but what the test opens. */
const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export type TestBrowser = { readonly browser: Browser } | { readonly skipped: string };

/** Starts it with an empty profile that goes away with it; where there is no browser, says why. */
export async function startBrowser(): Promise<TestBrowser> {
  if (!existsSync(CHROMIUM)) return { skipped: `there is no ${CHROMIUM}: apt-get install chromium` };
  return { browser: await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS }) };
}
