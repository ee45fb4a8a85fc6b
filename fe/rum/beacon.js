/**
 * Reads a beacon strictly: what is unknown, missing, too long or out of range
 * refuses the whole body, because half a beacon would count as a measurement.
 */
import { BODY_VERSION, MAX_SAMPLES } from "./queue.js";
import { LABEL } from "./config.js";

/** Largest value of each metric: ms, for CLS a ratio. Beyond it the clock lied. */
export const LIMITS = { INP: 600_000, LCP: 600_000, TTFB: 600_000, CLS: 1000 };

/** An id as web-vitals makes it (`v6-<ms>-<13 digits>`), with room for others. */
const ID = /^[A-Za-z0-9_-]{8,64}$/;

export class BeaconError extends Error {}

/**
 * @param {unknown} value
 * @param {string[]} keys
 * @returns {Record<string, unknown>} the value as an object with exactly these keys
 */
function exactly(value, keys) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new BeaconError("not an object");
  const have = Object.keys(value);
  for (const key of have) if (!keys.includes(key)) throw new BeaconError("unknown member");
  if (have.length !== keys.length) throw new BeaconError(`members must be ${keys.join(", ")}`);
  return /** @type {Record<string, unknown>} */ (value);
}

/**
 * @param {unknown} value
 * @returns {import("./queue.js").Sample}
 */
function readSample(value) {
  const s = exactly(value, ["id", "name", "value"]);
  if (typeof s.id !== "string" || !ID.test(s.id)) throw new BeaconError("id");
  if (typeof s.name !== "string" || !Object.hasOwn(LIMITS, s.name)) throw new BeaconError("name");
  const name = /** @type {keyof typeof LIMITS} */ (s.name);
  if (typeof s.value !== "number" || !(s.value >= 0 && s.value <= LIMITS[name])) throw new BeaconError("value");
  return { id: s.id, name, value: s.value };
}

/**
 * @param {string} body
 * @returns {{ page: string, env: string, final: boolean, samples: import("./queue.js").Sample[] }}
 * @throws {BeaconError} with a constant text: nothing of the body may reach a log
 */
export function readBeacon(body) {
  let parsed;
  try {
    parsed = JSON.parse(body);
  } catch {
    throw new BeaconError("not JSON");
  }
  const b = exactly(parsed, ["v", "page", "env", "final", "samples"]);
  if (b.v !== BODY_VERSION) throw new BeaconError("v");
  if (typeof b.page !== "string" || !LABEL.test(b.page)) throw new BeaconError("page");
  if (typeof b.env !== "string" || !LABEL.test(b.env)) throw new BeaconError("env");
  if (typeof b.final !== "boolean") throw new BeaconError("final");
  if (!Array.isArray(b.samples) || b.samples.length === 0 || b.samples.length > MAX_SAMPLES) {
    throw new BeaconError("samples");
  }
  return { page: b.page, env: b.env, final: b.final, samples: b.samples.map(readSample) };
}
