import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULTS, readConfig } from "./config.js";
import { readFile } from "node:fs/promises";

test("the defaults are a valid configuration on port 9314", () => {
  const config = readConfig({ PATH: "/bin" });
  assert.equal(config.port, 9314);
  assert.equal(config.host, "127.0.0.1");
  assert.deepEqual([...config.pages], ["/"]);
  assert.ok(config.origins.has("http://127.0.0.1:8420"));
});

test("all faults are named at once", () => {
  assert.throws(
    () => readConfig({ RUM_PORT: "x", RUM_ENV: "a b", RUM_ALLOWED_ORIGINS: "http://a/path", RUM_SETTEL_S: "3", RUM_LINGER_S: "-1" }),
    (/** @type {Error} */ err) => ["RUM_PORT", "RUM_ENV", "http://a/path", "RUM_SETTEL_S", "RUM_LINGER_S"].every((s) => err.message.includes(s)),
  );
  assert.throws(() => readConfig({ RUM_ALLOWED_ORIGINS: "" }), /nobody could report/);
  assert.throws(() => readConfig({ RUM_PAGES: Array.from({ length: 31 }, (_, i) => `/p${i}`).join() }), /more than 30/);
});

test("README.md names every setting", async () => {
  const readme = await readFile(new URL("README.md", import.meta.url), "utf8");
  for (const name of Object.keys(DEFAULTS)) assert.ok(readme.includes(`\`${name}\``), name);
});
