/**
 * A trader in a real browser: signs in on the panel, trades through the form as
 * a person does, and leaves the page every few seconds, because a browser
 * reports how quickly a page answered (INP) only when the page goes. It trades
 * gently, at most one order a second, beside whatever load runs. On every visit
 * an order waits in the book for a while and is cancelled again.
 *
 * Environment:
 *   BASE_URL    where mbp serves the panel, http://127.0.0.1:8420
 *   FIXTURES    JSON file with panel: {account, key}; the key is never printed
 *   DURATION_S  how long to trade, 60
 *   SESSION_S   how long a page is used before it is left, 3
 *   OUT         JSON file for the result
 *   CHROMIUM    the browser, .tools/bin/chromium
 *   RUM_URL     if set, the panel must report there
 *   SCREENSHOT  if set, panel.png is written into OUT_DIR (or beside OUT)
 *
 * Exit status: 0 each kind of order was filled and one waited; failures of others
 * are counted. 1 one never was, the page wrote an error to its console, or the
 * browser could not be used.
 */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/** Least time between two orders. */
const PACE_MS = 1000;

/** Longest wait for anything on the page, on a machine under full load. */
const WAIT_MS = 15_000;

/** One order in so many is followed by one that waits. */
const REST_EVERY = 4;

/** How long a beacon may take after the page was left. */
const BEACON_MS = 1000;

/** Faults kept as text; the rest is only counted. */
const KEPT = 20;

/** An order that the market refuses is a failure of the trade, not of the page. */
const REFUSAL = /status of (409|422|429)\b/;

/**
 * The orders of a market, in turn and over several visits: the first two outcomes
 * are bought, then sold again, so that the credits last.
 *
 * @type {{ side: "buy" | "sell", outcome: number }[]}
 */
const ORDERS = [
  { side: "buy", outcome: 0 },
  { side: "buy", outcome: 1 },
  { side: "sell", outcome: 0 },
  { side: "sell", outcome: 1 },
];

const sleep = (/** @type {number} */ ms) => new Promise((done) => setTimeout(done, ms));

/** @typedef {import("playwright-core").Page} Page */

/** What a run gathers; everything that is kept as text goes through `keep`. */
class Log {
  /** How often each of ORDERS was filled. */
  filled = ORDERS.map(() => 0);
  rests = 0;
  failures = 0;
  pages = 0;
  /** @type {string[]} */
  failureTexts = [];
  /** @type {string[]} */
  consoleErrors = [];

  /** @param {string} secret */
  constructor(secret) {
    this.secret = secret;
  }

  get trades() {
    return this.filled.reduce((a, b) => a + b);
  }

  /** @param {number} kind place in ORDERS */
  fill(kind) {
    this.filled[kind] = (this.filled[kind] ?? 0) + 1;
  }

  /** @param {string[]} list @param {string} text */
  keep(list, text) {
    if (list.length < KEPT) list.push(text.replaceAll(this.secret, "[key]").slice(0, 300));
  }

  /** @param {unknown} err */
  fail(err) {
    this.failures++;
    this.keep(this.failureTexts, err instanceof Error ? (err.message.split("\n")[0] ?? "") : String(err));
  }

  /** @param {Page} page */
  watch(page) {
    page.on("pageerror", (err) => this.keep(this.consoleErrors, `uncaught: ${err.message}`));
    page.on("console", (message) => {
      if (message.type() !== "error") return;
      const { url } = message.location();
      if (/\/v1\/orders(\/ord_[\d.]+\/cancel)?$/.test(url) && REFUSAL.test(message.text())) return;
      this.keep(this.consoleErrors, message.text());
    });
  }
}

/** @param {Page} page @param {string} base @param {string} key */
async function open(page, base, key) {
  await page.goto(base, { waitUntil: "domcontentloaded" });
  const field = page.locator("form[name=login] input[name=key]");
  const live = page.locator('.line[data-state="live"]');
  await field.or(live).filter({ visible: true }).first().waitFor();
  // The browser keeps its session, so only the first visit meets the form.
  if (await field.isVisible()) {
    await field.fill(key);
    await page.click("form[name=login] button[type=submit]");
  }
  await live.waitFor();
  await page.locator(".row").first().waitFor();
}

/**
 * Signs out, and holds the page to it: the next visit meets the form, and the browser
 * keeps neither a session nor a key.
 *
 * @param {Page} page @param {string} base
 */
async function leave(page, base) {
  await page.locator(".topbar button.quiet").filter({ visible: true }).first().click();
  const field = page.locator("form[name=login] input[name=key]");
  await field.waitFor();
  await page.goto(base, { waitUntil: "domcontentloaded" });
  await field.waitFor();
  const kept = await page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }]));
  if (kept.includes("mbp_")) throw new Error("the browser keeps a key");
  if ((await page.context().cookies()).some((c) => c.name.includes("session"))) throw new Error("the browser keeps a session");
}

/** Chooses one of the open markets and the language, as a person looks around. @param {Page} page @param {number} visit @param {number} market */
async function lookAround(page, visit, market) {
  await page.locator(".langs button").nth(visit % 2).click();
  const rows = page.locator(".row:has(.pill[hidden])");
  await rows.nth(market % (await rows.count())).click();
  await page.locator("form[name=ticket]").waitFor();
}

/** The decimal mark of the page's language. @param {Page} page */
const decimalMark = async (page) => ((await page.getAttribute("html", "lang")) === "en" ? "." : ",");

/**
 * One order through the form: a buy of one credit and some cents, or the sale of
 * everything held. Returns what the page says of it.
 *
 * @param {Page} page
 * @param {{ side: "buy" | "sell", outcome: number }} order the outcome by its place in the form
 */
async function trade(page, { side, outcome }) {
  await page.check(`#side-${side}`, { force: true });
  await page.locator("input[name=outcome]").nth(outcome).check({ force: true });
  await page.check("#kind-market", { force: true });
  await page.selectOption("#protect", "50000");
  if (side === "buy") {
    await page.click("#amount");
    await page.keyboard.type(`1${await decimalMark(page)}${10 + Math.floor(Math.random() * 90)}`, { delay: 20 });
  } else {
    await page.locator(".ticket .chip").filter({ visible: true }).first().click();
  }
  await send(page, "filled");
  await page.waitForFunction(() => document.querySelector(".account td a") !== null || document.querySelector(".account .empty:not([hidden])") !== null);
}

/**
 * Waits for the quote, presses the button, and holds the page to what it says then.
 *
 * @param {Page} page @param {"filled" | "rested"} wanted
 */
async function send(page, wanted) {
  const quote = page.locator('[data-testid=quote]:is([data-state="ready"], [data-state="problem"])');
  await quote.waitFor();
  if ((await quote.getAttribute("data-state")) === "problem") throw new Error(`quote: ${await quote.innerText()}`);
  await page.click("form[name=ticket] button[type=submit]");
  const result = page.locator("[data-testid=result][data-state]");
  await result.waitFor();
  const [state, text] = [await result.getAttribute("data-state"), await result.innerText()];
  if (state !== wanted) throw new Error(`order: ${text}`);
  if (!/\d/.test(text)) throw new Error(`an order without figures: ${text}`);
}

/**
 * A bid far below the market, which waits: it has to stand in the book and among
 * the own orders, where it is cancelled again.
 *
 * @param {Page} page
 */
async function waitAndCancel(page) {
  await page.check("#side-buy", { force: true });
  await page.locator("input[name=outcome]").first().check({ force: true });
  await page.check("#kind-limit", { force: true });
  await page.selectOption("#tif", "gtc");
  const mark = await decimalMark(page);
  await page.fill("#limit", `0${mark}02`);
  await page.fill("#amount", `0${mark}10`);
  await page.check("#post");
  const own = page.locator(".orders tr[data-order]");
  const before = await own.count();
  await send(page, "rested");
  await own.nth(before).waitFor();
  await page.locator('.book .level[data-side="bid"]').filter({ visible: true }).first().waitFor();
  // The newest stands first. A page that was left in between may have left others.
  for (let left = before; left >= 0; left--) {
    await own.first().locator("button").click();
    await own.nth(left).waitFor({ state: "detached" });
  }
  await page.locator('[data-testid=cancel-result][data-state="done"]').waitFor();
}

/**
 * @param {Page} page
 * @param {{ base: string, key: string, endsAt: number, sessionMs: number, log: Log, shot: string | null }} run
 */
async function tradeUntil(page, { base, key, endsAt, sessionMs, log, shot }) {
  let turn = 0;
  for (let visit = 0; Date.now() < endsAt; visit++) {
    try {
      await open(page, base, key);
      log.pages++;
      const market = Math.floor(turn / ORDERS.length);
      await lookAround(page, visit, market);
      const leaveAt = Math.min(endsAt, Date.now() + sessionMs);
      for (let n = 0; n === 0 || (Date.now() < leaveAt && market === Math.floor(turn / ORDERS.length)); n++, turn++) {
        const next = sleep(PACE_MS);
        const kind = turn % ORDERS.length;
        await trade(page, /** @type {typeof ORDERS[number]} */ (ORDERS[kind])).then(() => log.fill(kind), (err) => log.fail(err));
        if (n % REST_EVERY === 1) await waitAndCancel(page).then(() => log.rests++, (err) => log.fail(err));
        if (shot && log.trades === 1) await page.screenshot({ path: shot, fullPage: true });
        await next;
      }
    } catch (err) {
      log.fail(err);
      await sleep(PACE_MS);
    }
    // Leaving makes the browser report.
    await page.goto("about:blank").catch((err) => log.fail(err));
  }
  await sleep(BEACON_MS);
}

/** @param {Record<string, string | undefined>} env */
async function main(env) {
  const base = (env.BASE_URL ?? "http://127.0.0.1:8420").replace(/\/$/, "");
  const { FIXTURES, OUT } = env;
  if (!FIXTURES || !OUT) throw new Error("FIXTURES and OUT are needed");
  const { key } = JSON.parse(await readFile(FIXTURES, "utf8")).panel;
  const panel = await (await fetch(`${base}/panel.json`)).json();
  if (env.RUM_URL && panel.rum_url !== env.RUM_URL) throw new Error(`the panel reports to ${panel.rum_url}, not to ${env.RUM_URL}`);
  await mkdir(dirname(resolve(OUT)), { recursive: true });

  const log = new Log(key);
  const browser = await chromium.launch({ executablePath: env.CHROMIUM ?? join(root, ".tools/bin/chromium"), args: FLAGS });
  const startedAt = new Date();
  try {
    const page = await browser.newPage({ locale: "pt-BR", viewport: { width: 1360, height: 900 } });
    page.setDefaultTimeout(WAIT_MS);
    log.watch(page);
    await tradeUntil(page, {
      base, key, log,
      endsAt: startedAt.getTime() + 1000 * Number(env.DURATION_S ?? 60),
      sessionMs: 1000 * Number(env.SESSION_S ?? 3),
      shot: env.SCREENSHOT ? join(env.OUT_DIR ?? dirname(OUT), "panel.png") : null,
    });
    await open(page, base, key);
    await leave(page, base);
  } finally {
    await browser.close();
  }
  const result = {
    trades: log.trades,
    filled: log.filled,
    rests: log.rests,
    failures: log.failures,
    pages: log.pages,
    console_errors: log.consoleErrors.length,
    console_error_texts: log.consoleErrors,
    failure_texts: log.failureTexts,
    started_at: startedAt.toISOString(),
    ended_at: new Date().toISOString(),
    chromium_version: browser.version(),
  };
  await writeFile(`${OUT}.tmp`, `${JSON.stringify(result, null, 2)}\n`);
  await rename(`${OUT}.tmp`, OUT);
  console.log(`browser: ${log.trades} trades, ${log.rests} orders waited, ${log.failures} failures, ${log.pages} pages, ${log.consoleErrors.length} console errors`);
  for (const text of [...log.consoleErrors, ...log.failureTexts].slice(0, 5)) console.log(`browser: ${text}`);
  return log.filled.every((n) => n > 0) && log.rests > 0 && log.consoleErrors.length === 0 ? 0 : 1;
}

process.exitCode = await main(process.env).catch((err) => {
  console.error(`browser: ${err instanceof Error ? err.message : err}`);
  return 1;
});
