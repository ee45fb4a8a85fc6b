import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { run, snapshot } from "./collector_publish.js";
import { merge, readHistograms, upperBound } from "./exposition.js";
import { readConfig } from "./config.js";
import { createRum } from "./server.js";

test("publishes what the server gathered", async (t) => {
  const rum = createRum(readConfig({ RUM_ENV: "test", RUM_ALLOWED_ORIGINS: "http://p" }));
  rum.server.listen(0, "127.0.0.1");
  await once(rum.server, "listening");
  const dir = await mkdtemp(join(tmpdir(), "rum-"));
  t.after(async () => {
    rum.server.close();
    rum.server.closeAllConnections();
    await rm(dir, { recursive: true });
  });
  const base = `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (rum.server.address()).port}`;
  const out = join(dir, "deep", "web_inp_snapshot.json");
  /** @type {string[]} */
  const said = [];
  const io = { log: (/** @type {string} */ l) => said.push(l), error: (/** @type {string} */ l) => said.push(l) };
  const args = ["--url", `${base}/metrics`, "--out", out];

  assert.equal(await run(args, io), 1, "no sample is a failure");
  assert.match(said.pop() ?? "", /no INP sample/);
  assert.equal(JSON.parse(await readFile(out, "utf8")).inp.p75_upper_bound, null);

  const samples = [40, 120, 150, 900].map((value, i) => ({ id: `v6-12345678-${i}`, name: "INP", value }));
  const sent = await fetch(`${base}/rum`, {
    method: "POST", headers: { Origin: "http://p", "Content-Type": "text/plain" },
    body: JSON.stringify({ v: 1, page: "/", env: "test", final: true, samples }),
  });
  assert.equal(sent.status, 204);
  assert.equal(await run(args, io), 0);
  const { taken_at, url, raw, inp } = JSON.parse(await readFile(out, "utf8"));
  assert.match(taken_at, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.equal(url, `${base}/metrics`);
  const { pages, ...total } = inp;
  const want = { count: 4, sum_ms: 1210, p75_upper_bound: 152, good: 3, needs_improvement: 0, poor: 1 };
  assert.deepEqual(total, { page: "*", env: "test", ...want });
  assert.deepEqual(pages[0], { page: "/", env: "test", ...want });
  assert.deepEqual(snapshot(raw, url, new Date(taken_at)).inp, inp, "the summary follows from the raw text");
  assert.deepEqual(await readdir(join(dir, "deep")), ["web_inp_snapshot.json"]);
});

test("fails without writing: no server, no such metric, usage", async () => {
  /** @type {string[]} */
  const said = [];
  const io = { log: assert.fail, error: (/** @type {string} */ l) => said.push(l) };
  const out = join(tmpdir(), "never.json");
  assert.equal(await run(["--url", "http://127.0.0.1:1/metrics", "--out", out], io), 2);
  assert.equal(await run(["--out", out], io), 2);
  assert.match(said.pop() ?? "", /usage/);
  assert.throws(() => snapshot("up 1\n", "u", new Date()), /is this the RUM server/);
});

const text = `# TYPE m histogram
m_bucket{page="a\\"b",le="+Inf"} 4
m_bucket{page="a\\"b",le="10"} 3
m_sum{page="a\\"b"} 31.5
m_count{page="a\\"b"} 4
m_other 1
`;

test("reads a histogram whatever the order of its lines", () => {
  assert.deepEqual(readHistograms(text, "m"), [
    { labels: { page: 'a"b' }, count: 4, sum: 31.5, buckets: [{ le: 10, count: 3 }, { le: Infinity, count: 4 }] },
  ]);
  assert.throws(() => readHistograms('m_count{page=b} 4', "m"), /cannot be read/);
  assert.throws(() => readHistograms("m_count many", "m"), /not a number/);
});

test("the bound is an edge, and unknown above the last one", () => {
  const [h] = readHistograms(text, "m");
  assert.ok(h);
  assert.equal(upperBound(h, 0.75), 10);
  assert.equal(upperBound(h, 0.76), null);
  assert.equal(upperBound({ ...h, count: 0 }, 0.5), null);
});

test("merging needs equal edges", () => {
  const [h] = readHistograms(text, "m");
  assert.ok(h);
  assert.equal(merge([h, h]).buckets[0]?.count, 6);
  assert.throws(() => merge([h, { ...h, buckets: h.buckets.slice(1) }]), /edges differ/);
});
