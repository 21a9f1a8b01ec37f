/** The page in a real browser, against real daemons. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { PageView } from "../../src/page/page-view.ts";
import { afterimage } from "../cli/afterimage.ts";
import { startBrowser, type TestBrowser } from "../support/browser.ts";
import { FIRST_EPOCH } from "../support/members.ts";
import { PagedSet } from "../support/paged-set.ts";

const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 360, height: 740 };
/** A sample of the charts comes every 10 s, and a rate needs two. */
const SLOW = { timeout: 60_000, interval: 100 };
const SOON = { timeout: 30_000, interval: 50 };
const HOSTILE = `<img src=x onerror="window.hostile=1"><script>window.hostile=2</script>`;

let started: TestBrowser;
let paged: PagedSet | null = null;
/** What a page has complained of. */
let complaints: string[] = [];

beforeAll(async () => {
  started = await startBrowser();
  // The default reporter counts skipped tests and does not say why.
  if ("skipped" in started) console.warn(`the page is not tested: ${started.skipped}`);
  else paged = await PagedSet.start();
});

beforeEach((context) => {
  complaints = [];
  if ("skipped" in started) context.skip(started.skipped);
});

afterEach(async () => {
  if ("skipped" in started) return;
  for (const context of started.browser.contexts()) await context.close();
  expect(complaints).toEqual([]);
});

afterAll(async () => {
  if (!("skipped" in started)) await started.browser.close();
  await paged?.close();
});

function running(): PagedSet {
  if (paged === null) throw new Error("nothing was started");
  return paged;
}

interface Look {
  readonly size?: typeof DESKTOP;
  readonly scheme?: "light" | "dark";
  /** Before the page is opened. */
  readonly prepare?: (page: Page) => Promise<unknown>;
}

/** The page of a member, once it shows something. */
async function look(member: string, { size = DESKTOP, scheme = "light", prepare }: Look = {}): Promise<Page> {
  if ("skipped" in started) throw new Error(started.skipped);
  const page = await started.browser.newPage({
    ...{ viewport: size, colorScheme: scheme, reducedMotion: "reduce" },
    permissions: ["clipboard-read", "clipboard-write"],
  });
  page.on("pageerror", ({ message }) => complaints.push(message));
  page.on("console", (message) => {
    const isFailure = message.text().includes("net::ERR_");
    if (message.type() === "error" && !isFailure) complaints.push(message.text());
  });
  await prepare?.(page);
  await page.goto(running().url(member));
  await page.locator("#members tbody tr").first().waitFor();
  return page;
}

/** The texts of a table's row that begins with `name`, by the titles of their columns. */
async function rowOf(page: Page, panel: string, name: string): Promise<Record<string, string>> {
  const cells = page.locator(`#${panel} tbody tr`).filter({ has: page.locator(`th:has-text("${name}")`) });
  const texts = await cells.first().locator("td").allTextContents();
  const titles = await page.locator(`#${panel} thead th`).allTextContents();
  return Object.fromEntries(texts.map((text, i) => [titles[i + 1] ?? "", text]));
}

/** Gives the page an answer that is made of a real one. */
async function answerWith(page: Page, change: (view: PageView) => PageView): Promise<void> {
  await page.route("**/view.json*", async (route) => {
    const response = await route.fetch();
    const view: PageView = await response.json();
    await route.fulfill({ response, json: change(view) });
  });
}

async function seriousFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<axe.AxeResults>("axe.run()");
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
}

test("the page is there at once, asks only its own daemon, and only by GET", async () => {
  const asked: string[] = [];
  const page = await look("lisbon", {
    prepare: async (opened) => {
      opened.on("request", (request) => asked.push(`${request.method()} ${new URL(request.url()).origin}`));
    },
  });
  await expect.poll(() => page.locator("#verdict").getAttribute("data-level"), SLOW).toBe("ok");
  expect(await page.locator("#verdict-text").textContent()).toBe("lisbon is operational, and all 3 mirrors follow");
  expect(await page.title()).toBe("✓ demo · Afterimage");
  expect(await page.locator("#freshness").textContent()).toBe("live");
  expect(new Set(asked)).toEqual(new Set([`GET ${new URL(running().url("lisbon")).origin}`]));
});

test("members, databases and journals are tables with what status says", async () => {
  const page = await look("lisbon");
  await expect
    .poll(() => rowOf(page, "members", "porto"), SOON)
    .toMatchObject({ Role: "mirror", Follows: "lisbon", Epoch: "1" });
  await expect
    .poll(() => rowOf(page, "members", "braga"), SOON)
    .toMatchObject({ Role: "mirror (dr)", Follows: "porto" });
  expect((await rowOf(page, "members", "faro"))["Integrated lag"]).toMatch(/^(≤ )?\d.* s$/);
  expect(await rowOf(page, "databases", "shop")).toMatchObject({ Lag: "–", Verified: "not yet" });
  const copy = await look("porto");
  const database = await rowOf(copy, "databases", "shop");
  expect(database).toMatchObject({
    State: expect.stringContaining("read-only"),
    Lag: expect.stringMatching(/^≤ .* s$/),
  });
  expect(running().set.databaseStatus("porto")?.integrated?.txid).toContain(database["Integrated to"]?.slice(0, 5));
  await expect.poll(() => rowOf(page, "journal", "lisbon"), SOON).toMatchObject({ "Of at most": "10 GiB" });
  expect(await page.locator("#journal p").first().textContent()).toMatch(/^lisbon has [\d,]+ segments? and 1 snapshot/);
});

test("backups are those of the member whose page it is", async () => {
  const { set } = running();
  const made = await afterimage(["backup", "--config", set.configPath, "--node", "porto"], { cwd: set.root });
  expect(made).toMatchObject({ code: 0 });
  const page = await look("porto");
  expect(await page.locator("#backups").textContent()).toContain("porto makes backups by the schedule 0 3 * * *");
  await expect
    .poll(() => rowOf(page, "backups", "shop"), SOON)
    .toEqual({
      "Newest backup": expect.stringMatching(/^\d+ (s|min) ago$/),
    });
});

test("an alert and its event show on the page, and what an attacker has written into them does not run", async () => {
  const name = "<img src=x onerror=window.hostile=1>.ltx";
  const inbox = join(running().set.mailboxPath("porto"), "inbox", "shop", FIRST_EPOCH);
  writeFileSync(join(inbox, name), "nothing");
  await expect.poll(() => existsSync(join(inbox, name)), SOON).toBe(false);
  const page = await look("porto");
  await expect.poll(() => page.locator("#events").textContent(), SOON).toContain(`${name} is not a segment's name`);
  await expect.poll(() => page.locator("#problem-list").textContent(), SOON).toContain("QUARANTINE");
  expect(await page.locator("#problem-list code").first().textContent()).toBe("quarantine/");
  expect(await page.locator("#verdict").getAttribute("data-level")).toBe("warn");
  expect(await page.evaluate("window.hostile")).toBeUndefined();
  // Its upstream shows it too.
  const hub = await look("lisbon");
  await expect.poll(() => hub.locator("#problem-list").textContent(), SOON).toMatch(/QUARANTINE.*porto · shop/);
});

test("events can be those that matter only", async () => {
  const page = await look("porto");
  const codes = () => page.locator("#events tbody tr td:nth-child(3)").allTextContents();
  await expect.poll(codes, SOON).toContain("MIRROR_CREATED");
  await page.getByText("Warnings and errors").click();
  await expect.poll(codes, SOON).not.toContain("MIRROR_CREATED");
  expect(await codes()).toContain("SEGMENT_NAME");
});

test("whatever a member says is shown as text, in every place", async () => {
  const poison = (value: unknown): unknown => {
    if (typeof value === "string") return `${value}${HOSTILE}`;
    if (Array.isArray(value)) return value.map(poison);
    if (typeof value !== "object" || value === null) return value;
    const kept = new Set(["level", "role", "time", "since", "oldest", "verified", "history"]);
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, kept.has(key) ? each : poison(each)]));
  };
  const page = await look("porto", {
    size: PHONE,
    prepare: (opened) => answerWith(opened, (view) => poison(view) as PageView),
  });
  await expect.poll(() => page.locator("#events").textContent(), SOON).toContain(HOSTILE);
  for (const panel of ["verdict", "problem-list", "topology", "commands", "members", "databases", "journal", "backups"])
    expect([panel, await page.locator(`#${panel}`).textContent()]).toEqual([panel, expect.stringContaining("<img")]);
  expect(await page.evaluate("window.hostile")).toBeUndefined();
  expect(await page.locator("main img, main script").count()).toBe(0);
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(PHONE.width);
});

test("all of it can be reached and used by keyboard, and a copied command is on the clipboard", async () => {
  const page = await look("lisbon");
  const focused = () => page.evaluate<string>("document.activeElement.textContent || document.activeElement.value");
  await page.keyboard.press("Tab");
  expect(await focused()).toBe("Skip to the content");
  expect(await page.locator(".skip").evaluate((skip) => skip.getBoundingClientRect().top)).toBeGreaterThanOrEqual(0);
  await page.keyboard.press("Enter");
  expect(await page.evaluate("document.activeElement.id")).toBe("main");
  await page.keyboard.press("Tab");
  expect(await focused()).toBe("Copy");
  await page.keyboard.press("Enter");
  await expect.poll(focused).toBe("Copied");
  expect(await page.evaluate("navigator.clipboard.readText()")).toBe("afterimage status");
  expect(await page.locator("#announcer").textContent()).toBe("Copied");
  await page.locator('input[name="hours"]').first().focus();
  await page.keyboard.press("ArrowRight");
  await expect.poll(() => page.locator("#charts canvas").first().getAttribute("aria-label")).toContain("the last 6 h");
  await page.locator("#charts details summary").first().focus();
  await page.keyboard.press("Enter");
  await expect.poll(() => page.locator("#charts details table tbody tr").count()).toBe(12);
});

test("a refresh leaves the focus where it is, although what is around it changes", async () => {
  let answers = 0;
  const page = await look("lisbon", {
    prepare: (opened) =>
      answerWith(opened, (view) => {
        answers += 1;
        return { ...view, guidance: view.guidance.map((each) => ({ ...each, text: `answer ${answers}` })) };
      }),
  });
  await page.locator("#commands button").nth(1).focus();
  const before = await page.locator("#commands").textContent();
  await expect.poll(() => page.locator("#commands").textContent(), SOON).not.toBe(before);
  expect(await page.evaluate("document.activeElement.dataset.key")).toBe("Where things stand 1");
});

test("nothing is asked while nobody looks", async () => {
  let asked = 0;
  const page = await look("lisbon", {
    prepare: async (opened) => {
      await opened.clock.install();
      opened.on("request", () => {
        asked += 1;
      });
    },
  });
  const setHidden = (isHidden: boolean) =>
    page.evaluate(`Object.defineProperty(document, "hidden", { value: ${isHidden}, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"))`);
  await setHidden(true);
  const before = asked;
  await page.clock.runFor(60_000);
  expect(asked).toBe(before);
  await setHidden(false);
  await expect.poll(() => asked).toBe(before + 1);
});

test.each(["light", "dark"] as const)(
  "no serious fault for who sees or hears the page otherwise, %s",
  async (scheme) => {
    for (const size of [DESKTOP, PHONE]) {
      // A member in error, one in trouble, and what is wrong with them, in the colours for that.
      const page = await look("porto", { size, scheme });
      await expect.poll(() => page.locator("#problem-list li").count(), SOON).toBeGreaterThan(0);
      expect(await seriousFaults(page)).toEqual([]);
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(size.width);
      await page.close();
    }
  },
);

test("the picture, and a list for who does not see it, show who follows whom, and what flows", async () => {
  const page = await look("lisbon");
  await expect.poll(() => page.locator('.edge[data-flowing="true"]').count(), SLOW).toBe(3);
  const edges = await page
    .locator(".edge")
    .evaluateAll((all) => all.map((edge) => [edge.getAttribute("data-from"), edge.getAttribute("data-to")]));
  expect(edges).toEqual([
    ["lisbon", "porto"],
    ["porto", "braga"],
    ["lisbon", "faro"],
  ]);
  expect(await page.locator('.edge[data-to="porto"]').textContent()).toMatch(/tx\/s, .*B\/s.*lag (≤ )?\d/);
  expect(await page.locator('.node[data-member="lisbon"]').textContent()).toContain("lisbon (here)");
  const sentences = await page.locator("#topology-text li").allTextContents();
  expect(sentences[0]).toBe("lisbon: operational, epoch 1, operational.");
  expect(sentences[3]).toMatch(/^braga follows porto: mirror \(dr\), .*receives [\d.]+ transactions a second\.$/);
});

test("charts show lags of every mirror and rates, as pictures and in words", async () => {
  const page = await look("lisbon");
  const summaries = () => page.locator("#charts .summary").allTextContents();
  await expect
    .poll(summaries, SLOW)
    .toEqual([
      expect.stringMatching(/^porto: now .* s, most .* s; faro: now .*; braga: now .*\.$/),
      expect.stringMatching(/^porto: now .* s, most .* s; faro: now .*; braga: now .*\.$/),
      expect.stringMatching(/^transactions: now [\d.]+, most/),
      expect.stringMatching(/^segments: now [\d.]+, most/),
      expect.stringMatching(/^journal: now .*B\/s, most .*; shipped: now .*B\/s/),
    ]);
  const drawn = await page.evaluate<number[]>(
    "[...document.querySelectorAll('canvas')].map((each) => Chart.getChart(each).data.datasets[0].data.filter(({ y }) => y !== null).length)",
  );
  expect(Math.min(...drawn)).toBeGreaterThan(0);
});

test("a member that is stopped shows, with what to do, and so does that it is back", async () => {
  const { set } = running();
  const page = await look("lisbon");
  await set.daemon("faro")?.terminate();
  await expect.poll(() => page.locator("#problem-list").textContent(), SLOW).toContain("MEMBER_DOWN");
  expect(await page.locator("#commands h3").first().textContent()).toBe("Service of a mirror");
  expect(await page.locator("#commands").textContent()).toContain("sudo systemctl start afterimage");
  expect(await page.locator('.node[data-member="faro"]').getAttribute("data-level")).toBe("warn");
  expect(await page.locator("#announcer").textContent()).toMatch(/faro|porto/);
  expect(await seriousFaults(page)).toEqual([]);
  await running().startAgain("faro");
  await expect.poll(() => page.locator('.node[data-member="faro"]').getAttribute("data-level"), SLOW).toBe("ok");
});

test("a switchover shows: another member is operational, and the picture begins with it", async () => {
  const { set } = running();
  const page = await look("lisbon");
  const ended = await afterimage(["switchover", "--to", "porto", "--config", set.configPath, "--node", "lisbon"], {
    cwd: set.root,
  });
  expect(ended).toMatchObject({ code: 0 });
  await expect.poll(() => page.locator("#figures dd").first().textContent(), SLOW).toBe("porto");
  await expect.poll(() => page.locator(".node").first().getAttribute("data-member"), SLOW).toBe("porto");
  await expect.poll(() => rowOf(page, "members", "lisbon"), SLOW).toMatchObject({ Role: "mirror", Follows: "porto" });
});

test("when the daemon is gone the page says so, and a mirror's page what to do", async () => {
  const { set } = running();
  const [page, mirrors] = [await look("porto"), await look("lisbon", { scheme: "dark" })];
  await set.killDaemon("porto");
  await expect
    .poll(() => page.locator("#verdict-text").textContent(), SOON)
    .toBe("The daemon of porto cannot be asked: it does not answer.");
  expect(await page.locator("#verdict-note").textContent()).toMatch(/^What is shown is [\d.]+ s old\./);
  expect(await page.locator("#freshness").textContent()).toMatch(/^[\d.]+ s old$/);
  expect(await page.locator("#announcer").textContent()).toContain("cannot be asked");
  // What was known is still there.
  expect(await rowOf(page, "members", "lisbon")).toMatchObject({ Role: "mirror" });
  await expect
    .poll(() => mirrors.locator("#verdict-text").textContent(), SLOW)
    .toMatch(/^porto: it is the operational member, and its heartbeat has stopped/);
  await expect
    .poll(() => mirrors.locator("#commands").textContent(), SOON)
    .toContain("afterimage salvage --from /mnt/porto --dry-run");
  expect(await mirrors.locator("#commands h3").first().textContent()).toBe(
    "The operational machine is lost, and its disk can be read",
  );
  expect(await seriousFaults(mirrors)).toEqual([]);
  await running().startAgain("porto");
  await expect.poll(() => page.locator("#freshness").textContent(), SOON).toBe("live");
});
