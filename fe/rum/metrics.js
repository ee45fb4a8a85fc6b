/**
 * The series of the RUM server. The edges of the INP histogram hold 200 and 500
 * ms exactly, the borders of "good" and "poor", so the share of good pages is a
 * count and no interpolation. Every series a criterion reads exists from the
 * start at 0: absence then means that the server was not scraped.
 */
import client from "prom-client";

/** What can become of a beacon. */
export const BEACON_RESULTS = /** @type {const} */ ([
  "accepted", "malformed", "too_large", "wrong_type", "wrong_env", "wrong_origin", "rate_limited", "stopping",
]);

/** @typedef {(typeof BEACON_RESULTS)[number]} BeaconResult */

/** What can become of a sample on arrival; holder.js says what each means. */
export const SAMPLE_RESULTS = /** @type {const} */ (["held", "replaced", "observed", "late"]);

export const INP_EDGES_MS = [
  8, 16, 24, 32, 40, 56, 72, 88, 104, 128, 152, 176, 200, 240, 280, 320, 400, 500, 650, 800, 1000, 1500, 2500, 5000,
];

const LOAD_EDGES_MS = [10, 25, 50, 100, 200, 400, 800, 1200, 1800, 2500, 3200, 4000, 6000, 10000, 30000];

/**
 * @param {{ env: string, pages: ReadonlySet<string>, held: () => number }} options
 */
export function createMetrics({ env, pages, held }) {
  const registry = new client.Registry();
  const registers = [registry];
  const labelNames = /** @type {const} */ (["page", "env"]);
  /** @param {string} name @param {string} help @param {number[]} buckets */
  const histogram = (name, help, buckets) => {
    const h = new client.Histogram({ name, help, buckets, labelNames, registers });
    for (const page of [...pages, "other"]) h.zero({ page, env });
    return h;
  };
  const vitals = {
    INP: histogram("web_vitals_inp_ms", "Interaction to next paint of a page visit, in ms.", INP_EDGES_MS),
    LCP: histogram("web_vitals_lcp_ms", "Largest contentful paint of a page visit, in ms.", LOAD_EDGES_MS),
    TTFB: histogram("web_vitals_ttfb_ms", "Time to first byte of a page visit, in ms.", LOAD_EDGES_MS),
    CLS: histogram("web_vitals_cls_ratio", "Cumulative layout shift of a page visit, a ratio.",
      [0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1]),
  };
  const beacons = new client.Counter({
    name: "rum_beacons_total", help: "Beacons by what became of them.", labelNames: ["result"], registers,
  });
  for (const result of BEACON_RESULTS) beacons.inc({ result }, 0);
  const samples = new client.Counter({
    name: "rum_samples_total", help: "Samples of accepted beacons by what became of them.", labelNames: ["name", "result"], registers,
  });
  for (const name of Object.keys(vitals)) for (const result of SAMPLE_RESULTS) samples.inc({ name, result }, 0);
  const gauge = new client.Gauge({
    name: "rum_samples_held", help: "Values that wait for a later report of the same id.", registers,
    collect() { this.set(held()); },
  });
  gauge.set(0);

  return {
    registry,
    /** @param {BeaconResult} result */
    beacon: (result) => beacons.inc({ result }),
    /** @param {string} name @param {(typeof SAMPLE_RESULTS)[number]} result */
    sample: (name, result) => samples.inc({ name, result }),
    /** @param {import("./holder.js").Held} sample */
    observe: ({ name, page, value }) => vitals[name].observe({ page: pages.has(page) ? page : "other", env }, value),
  };
}
