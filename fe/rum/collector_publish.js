/**
 * Publishes what the collector gathered: reads the RUM server's /metrics and
 * writes it as one JSON document, raw text and INP summary side by side, so that
 * a reader can check the one against the other.
 *
 *   node fe/rum/collector_publish.js --url http://127.0.0.1:9314/metrics --out FILE
 *
 * Exit status: 0 written; 1 written, but not a single INP sample in it; 2 usage,
 * the server did not answer or its answer cannot be read (nothing is written).
 */
import { realpathSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { merge, readHistograms, upperBound } from "./exposition.js";

const METRIC = "web_vitals_inp_ms";

/** The server is on the same machine and answers from memory. */
const FETCH_TIMEOUT_MS = 10_000;

/** @param {import("./exposition.js").Histogram} histogram */
function summary(histogram) {
  const good = histogram.buckets.find((b) => b.le === 200)?.count ?? 0;
  const notPoor = histogram.buckets.find((b) => b.le === 500)?.count ?? 0;
  return {
    count: histogram.count,
    sum_ms: histogram.sum,
    p75_upper_bound: upperBound(histogram, 0.75),
    good: good,
    needs_improvement: notPoor - good,
    poor: histogram.count - notPoor,
  };
}

/**
 * @param {string} raw the text of /metrics
 * @param {string} url where it came from
 * @param {Date} takenAt
 */
export function snapshot(raw, url, takenAt) {
  const series = readHistograms(raw, METRIC);
  if (series.length === 0) throw new Error(`${METRIC} is not in the answer: is this the RUM server?`);
  const envs = [...new Set(series.map((s) => s.labels.env))];
  return {
    taken_at: takenAt.toISOString(),
    url,
    metric: METRIC,
    inp: {
      page: "*",
      env: envs.join(","),
      ...summary(merge(series)),
      pages: series.map((s) => ({ page: s.labels.page, env: s.labels.env, ...summary(s) })),
    },
    raw,
  };
}

/**
 * @param {string[]} argv
 * @param {{ log: (line: string) => void, error: (line: string) => void }} out
 * @returns {Promise<number>} the exit status
 */
export async function run(argv, out) {
  try {
    const { values } = parseArgs({ args: argv, options: { url: { type: "string" }, out: { type: "string" } } });
    if (!values.url || !values.out) throw new Error("usage: collector_publish.js --url URL --out FILE");
    const answer = await fetch(values.url, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
    if (!answer.ok) throw new Error(`GET ${values.url}: status ${answer.status}`);
    const document = snapshot(await answer.text(), values.url, new Date());
    await mkdir(dirname(values.out), { recursive: true });
    // Renaming keeps a reader, or a crash, from ever seeing half a document.
    await writeFile(`${values.out}.tmp`, `${JSON.stringify(document, null, 2)}\n`);
    await rename(`${values.out}.tmp`, values.out);
    const { count, p75_upper_bound } = document.inp;
    if (count === 0) {
      out.error(`rum: no INP sample at ${values.url}: no page was used and left`);
      return 1;
    }
    out.log(`rum: ${count} INP samples, p75 ≤ ${p75_upper_bound ?? "last edge"} ms → ${values.out}`);
    return 0;
  } catch (err) {
    out.error(`rum: ${err instanceof Error ? err.message : err}`);
    return 2;
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = await run(process.argv.slice(2), console);
}
