import assert from "node:assert/strict";
import { test } from "node:test";
import { readBeacon } from "./beacon.js";
import { createQueue, MAX_IDS, MAX_SAMPLES } from "./queue.js";

const place = { page: "/", env: "test" };
/** @param {number} n @param {number} value */
const inp = (n, value) => ({ id: `v6-${1e12 + n}`, name: /** @type {const} */ ("INP"), value });

test("keeps one value per id, the last", () => {
  const queue = createQueue(place);
  queue.add(inp(1, 80));
  queue.add(inp(2, 10));
  queue.add(inp(1, 120));
  const [body, ...more] = queue.drain(false);
  assert.deepEqual(more, []);
  assert.deepEqual(JSON.parse(/** @type {string} */ (body)).samples, [inp(2, 10), inp(1, 120)]);
});

test("sends a value once, and again only when it changed", () => {
  const queue = createQueue(place);
  queue.add(inp(1, 80));
  assert.equal(queue.drain(false).length, 1);
  assert.deepEqual(queue.drain(false), []);
  queue.add(inp(1, 90));
  assert.match(/** @type {string} */ (queue.drain(false)[0]), /"value":90/);
});

test("the final drain repeats every newest value and empties the queue", () => {
  const queue = createQueue(place);
  queue.add(inp(1, 80));
  queue.drain(false);
  queue.add(inp(2, 10));
  const beacon = readBeacon(/** @type {string} */ (queue.drain(true)[0]));
  assert.deepEqual(beacon, { ...place, final: true, samples: [inp(1, 80), inp(2, 10)] });
  assert.deepEqual(queue.drain(true), []);
});

test("a sample takes nothing along but id, name and value", () => {
  const queue = createQueue(place);
  queue.add(/** @type {any} */ ({ ...inp(1, 8), url: "https://x/acc_7", entries: [1] }));
  assert.deepEqual(JSON.parse(/** @type {string} */ (queue.drain(false)[0])), { v: 1, ...place, final: false, samples: [inp(1, 8)] });
});

test("bodies and memory are bounded, and the server accepts each body", () => {
  const queue = createQueue(place);
  for (let n = 0; n < MAX_IDS + 10; n++) queue.add(inp(n, n));
  const bodies = queue.drain(false);
  assert.equal(bodies.length, MAX_IDS / MAX_SAMPLES);
  const samples = bodies.flatMap((b) => readBeacon(b).samples);
  assert.equal(samples.length, MAX_IDS);
  assert.equal(samples[0]?.value, 10, "the oldest ids are forgotten");
});
