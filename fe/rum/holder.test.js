import assert from "node:assert/strict";
import { test } from "node:test";
import { createHolder } from "./holder.js";

function setUp(limit = 100) {
  /** @type {[string, number][]} */
  const seen = [];
  const clock = { ms: 0 };
  const holder = createHolder({ settleMs: 1000, limit, now: () => clock.ms, observe: (s) => seen.push([s.id, s.value]) });
  /** @param {string} id @param {number} value @param {boolean} [final] */
  const report = (id, value, final = false) => holder.report({ id, value, name: "INP", page: "/" }, final);
  return { holder, seen, clock, report };
}

test("a later report of an id replaces the earlier and is observed once", () => {
  const { holder, seen, clock, report } = setUp();
  assert.equal(report("a", 80), "held");
  clock.ms = 900;
  assert.equal(report("a", 120), "replaced");
  clock.ms = 1800; // 900 after the last report
  holder.sweep();
  assert.deepEqual(seen, []);
  clock.ms = 1900;
  holder.sweep();
  holder.sweep();
  assert.deepEqual(seen, [["a", 120]]);
  assert.equal(holder.size, 0);
});

test("a final report is observed at once, in place of what was held", () => {
  const { holder, seen, report } = setUp();
  report("a", 80);
  assert.equal(report("a", 96, true), "observed");
  holder.flush();
  assert.deepEqual(seen, [["a", 96]]);
});

test("what comes after the observation is late", () => {
  const { seen, report } = setUp();
  report("a", 80, true);
  assert.equal(report("a", 500), "late");
  assert.equal(report("a", 500, true), "late");
  assert.deepEqual(seen, [["a", 80]]);
});

test("equal ids of different metrics are different values", () => {
  const { holder, seen } = setUp();
  holder.report({ id: "a", value: 1, name: "CLS", page: "/" }, true);
  assert.equal(holder.report({ id: "a", value: 2, name: "LCP", page: "/" }, true), "observed");
  assert.equal(seen.length, 2);
});

test("over the limit, the id that was silent the longest is observed, not lost", () => {
  const { holder, seen, report } = setUp(2);
  report("a", 1);
  report("b", 2);
  report("a", 3);
  report("c", 4);
  assert.deepEqual(seen, [["b", 2]]);
  holder.flush();
  assert.deepEqual(seen, [["b", 2], ["a", 3], ["c", 4]]);
});

test("the memory of observed ids is bounded too", () => {
  const { report } = setUp(2);
  for (const id of ["a", "b", "c"]) report(id, 1, true);
  assert.equal(report("c", 1, true), "late");
  assert.equal(report("a", 1, true), "observed", "forgotten: the oldest of three");
});
