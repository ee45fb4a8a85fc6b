import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { readConfig } from "./config.js";
import { readHistograms } from "./exposition.js";
import { createBucket, MAX_BODY } from "./intake.js";
import { createRum } from "./server.js";

const ORIGIN = "http://panel.test";
const clock = { ms: 1_000_000 };
const rum = createRum(readConfig({
  RUM_PORT: "0", RUM_ENV: "test", RUM_ALLOWED_ORIGINS: ORIGIN, RUM_PAGES: "/,/markets", RUM_PER_SECOND: "1000", RUM_SETTLE_S: "10",
}), () => clock.ms);
let base = "";

before(async () => {
  rum.server.listen(0, "127.0.0.1");
  await once(rum.server, "listening");
  base = `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (rum.server.address()).port}`;
});
after(() => {
  rum.server.close();
  rum.server.closeAllConnections();
});

let lastId = 0;
const newId = () => `v6-1700000000000-${++lastId}`;
const sample = (value = 48) => ({ id: newId(), name: "INP", value });
const beacon = (over = {}) => ({ v: 1, page: "/", env: "test", final: true, samples: [sample()], ...over });

/** @param {unknown} body @param {Record<string, string>} [headers] @param {string} [to] */
const post = (body, headers = {}, to = base) => fetch(`${to}/rum`, {
  method: "POST",
  body: typeof body === "string" ? body : JSON.stringify(body),
  headers: { Origin: ORIGIN, "Content-Type": "text/plain;charset=UTF-8", ...headers },
});
const metrics = async (to = base) => (await fetch(`${to}/metrics`)).text();
/** @param {string} text @param {string} page */
const inp = (text, page) => {
  const h = readHistograms(text, "web_vitals_inp_ms").find((x) => x.labels.page === page);
  assert.ok(h, `series of page ${page}`);
  return h;
};
/** @param {string} text @param {string} series */
const counter = (text, series) => Number(text.split("\n").find((l) => l.startsWith(`${series} `))?.split(" ")[1] ?? NaN);

test("every series exists at 0 before the first beacon", async () => {
  const text = await metrics();
  for (const page of ["/", "/markets", "other"]) {
    const h = inp(text, page);
    assert.equal(h.count, 0);
    assert.equal(h.labels.env, "test");
    for (const edge of [200, 500]) assert.ok(h.buckets.some((b) => b.le === edge), `edge at ${edge}`);
  }
  assert.match(text, /# HELP web_vitals_inp_ms .*\bms\b/);
  for (const result of ["accepted", "malformed", "too_large", "wrong_type", "wrong_env", "wrong_origin", "rate_limited", "stopping"]) {
    assert.equal(counter(text, `rum_beacons_total{result="${result}"}`), 0, result);
  }
  assert.equal(counter(text, 'rum_samples_total{name="INP",result="late"}'), 0);
});

test("a final beacon is observed at once; unknown pages are other", async () => {
  const before = await metrics();
  const answer = await post(beacon({ samples: [sample(200), sample(200.5)] }));
  assert.equal(answer.status, 204);
  assert.equal(answer.headers.get("access-control-allow-origin"), ORIGIN);
  assert.equal((await post(beacon({ page: "/mkt_1" }))).status, 204);
  const text = await metrics();
  /** @param {string} t */
  const good = (t) => inp(t, "/").buckets.find((b) => b.le === 200)?.count ?? NaN;
  assert.equal(inp(text, "/").count - inp(before, "/").count, 2);
  assert.equal(good(text) - good(before), 1, "200 ms is good, 200.5 ms is not");
  assert.equal(inp(text, "other").count, 1);
  assert.ok(!text.includes("mkt_1"));
});

test("the last report of an id counts, once, after it settled", async () => {
  const page = "/markets";
  const one = sample(600);
  for (const value of [16, 300, 600]) await post(beacon({ page, final: false, samples: [{ ...one, value }] }));
  assert.equal(inp(await metrics(), page).count, 0);
  assert.equal(counter(await metrics(), "rum_samples_held"), 1);
  clock.ms += 10_000;
  const settled = inp(await metrics(), page);
  assert.deepEqual([settled.count, settled.sum], [1, 600]);
  await post(beacon({ page, samples: [{ ...one, value: 9 }] }));
  const text = await metrics();
  assert.deepEqual([inp(text, page).count, inp(text, page).sum], [1, 600]);
  assert.equal(counter(text, 'rum_samples_total{name="INP",result="late"}'), 1);
  assert.equal(counter(text, 'rum_samples_total{name="INP",result="replaced"}'), 2);
});

const good = sample();
/** @type {[string, unknown, number, string, Record<string, string>?][]} */
const refused = [
  ["no JSON", "{", 400, "malformed"],
  ["empty", "", 400, "malformed"],
  ["array", [], 400, "malformed"],
  ["null", "null", 400, "malformed"],
  ["version", beacon({ v: 2 }), 400, "malformed"],
  ["unknown member", beacon({ url: "https://x/" }), 400, "malformed"],
  ["missing member", { v: 1, page: "/", env: "test", samples: [good] }, 400, "malformed"],
  ["page with a query", beacon({ page: "/?a=b" }), 400, "malformed"],
  ["page too long", beacon({ page: "/".repeat(65) }), 400, "malformed"],
  ["final is no boolean", beacon({ final: 1 }), 400, "malformed"],
  ["no samples", beacon({ samples: [] }), 400, "malformed"],
  ["too many samples", beacon({ samples: Array.from({ length: 65 }, () => good) }), 400, "malformed"],
  ["unknown metric", beacon({ samples: [{ ...good, name: "FID" }] }), 400, "malformed"],
  ["inherited name", beacon({ samples: [{ ...good, name: "toString" }] }), 400, "malformed"],
  ["negative", beacon({ samples: [{ ...good, value: -1 }] }), 400, "malformed"],
  ["text for a value", beacon({ samples: [{ ...good, value: "48" }] }), 400, "malformed"],
  ["null for a value", beacon({ samples: [{ ...good, value: null }] }), 400, "malformed"],
  ["too slow to be true", beacon({ samples: [{ ...good, value: 600_001 }] }), 400, "malformed"],
  ["one bad sample of two", beacon({ samples: [good, { ...good, value: -1 }] }), 400, "malformed"],
  ["id with a space", beacon({ samples: [{ ...good, id: "v6 1700000000" }] }), 400, "malformed"],
  ["sample with more", beacon({ samples: [{ ...good, target: "#key" }] }), 400, "malformed"],
  ["too large", "x".repeat(MAX_BODY + 1), 413, "too_large"],
  ["content type", beacon(), 415, "wrong_type", { "Content-Type": "application/x-www-form-urlencoded" }],
  ["environment", beacon({ env: "prod" }), 422, "wrong_env"],
  ["origin", beacon(), 403, "wrong_origin", { Origin: "https://evil.test" }],
];
for (const [name, body, status, result, headers] of refused) {
  test(`refuses: ${name}`, async () => {
    const was = await metrics();
    const answer = await post(body, headers);
    assert.equal(answer.status, status, await answer.text());
    const now = await metrics();
    const series = `rum_beacons_total{result="${result}"}`;
    assert.equal(counter(now, series) - counter(was, series), 1);
    for (const page of ["/", "/markets", "other"]) assert.equal(inp(now, page).count, inp(was, page).count);
  });
}

test("a body without a length is cut at the limit", async () => {
  const stream = new ReadableStream({
    pull(c) {
      c.enqueue(new Uint8Array(16 * 1024));
    },
  });
  const sent = fetch(`${base}/rum`, /** @type {any} */ ({
    method: "POST", body: stream, duplex: "half", headers: { Origin: ORIGIN, "Content-Type": "text/plain" },
  }));
  // The server may answer or cut the line first; it must not read on for ever.
  assert.equal(await sent.then((r) => r.status, () => 413), 413);
});

test("preflight: listed origins only", async () => {
  const ask = (/** @type {string} */ origin) => fetch(`${base}/rum`, {
    method: "OPTIONS", headers: { Origin: origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type" },
  });
  const yes = await ask(ORIGIN);
  assert.equal(yes.status, 204);
  assert.equal(yes.headers.get("access-control-allow-origin"), ORIGIN);
  assert.equal(yes.headers.get("access-control-allow-methods"), "POST");
  const no = await ask("https://evil.test");
  assert.equal(no.status, 403);
  assert.equal(no.headers.get("access-control-allow-origin"), null);
});

test("other paths and methods", async () => {
  assert.equal((await fetch(`${base}/`)).status, 404);
  assert.equal((await fetch(`${base}/rum`)).status, 405);
  assert.equal((await fetch(`${base}/healthz`)).status, 200);
});

test("the bucket refills at its rate and never holds more than a second", () => {
  let ms = 0;
  const take = createBucket(2, () => ms);
  assert.deepEqual([take(), take(), take()], [true, true, false]);
  ms += 500;
  assert.deepEqual([take(), take()], [true, false]);
  ms += 60_000;
  assert.deepEqual([take(), take(), take()], [true, true, false]);
});

/** @param {Record<string, string>} env */
async function start(env) {
  const child = spawn(process.execPath, [fileURLToPath(new URL("server.js", import.meta.url))], {
    env: { PATH: process.env.PATH, RUM_PORT: "0", RUM_ENV: "test", RUM_ALLOWED_ORIGINS: ORIGIN, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const [line] = await once(createInterface(child.stdout), "line");
  const url = /http:\S+/.exec(line)?.[0] ?? "";
  return { child, exited, url };
}

test("over the rate it answers 429 with Retry-After", async () => {
  const { child, exited, url } = await start({ RUM_PER_SECOND: "1" });
  const answers = await Promise.all(Array.from({ length: 5 }, () => post(beacon(), {}, url)));
  const limited = answers.filter((a) => a.status === 429);
  assert.ok(limited.length >= 3 && limited.length <= 4, `${limited.length} of 5 limited`);
  assert.equal(limited[0]?.headers.get("retry-after"), "1");
  child.kill("SIGKILL");
  await exited;
});

test("SIGTERM observes what is held and waits for the last scrape", async () => {
  const { child, exited, url } = await start({ RUM_LINGER_S: "60" });
  await post(beacon({ final: false, samples: [sample(72)] }), {}, url);
  assert.equal(inp(await metrics(url), "/").count, 0);
  child.kill("SIGTERM");
  while ((await fetch(`${url}/healthz`)).status === 200);
  assert.equal((await post(beacon(), {}, url)).status, 503);
  const last = inp(await metrics(url), "/");
  assert.deepEqual([last.count, last.sum], [1, 72]);
  assert.deepEqual(await exited, [0, null], "the scrape ended the wait of 60 s");
});

test("SIGTERM with nothing new ends at once", async () => {
  const { child, exited } = await start({ RUM_LINGER_S: "60" });
  child.kill("SIGTERM");
  assert.deepEqual(await exited, [0, null]);
});
