/**
 * The intake of beacons: who may send, how much, how fast; then the beacon is
 * read strictly and its samples go to the holder. Each beacon is counted once,
 * by what became of it, and nothing of a refused one reaches an answer or a log.
 *
 * @typedef {import("node:http").IncomingMessage} Request
 * @typedef {import("node:http").ServerResponse} Response
 */
import { BeaconError, readBeacon } from "./beacon.js";

/** The most that browsers grant to beacons in flight. */
export const MAX_BODY = 64 * 1024;

/** Seconds a browser may remember a preflight. */
const PREFLIGHT_S = "600";

/** A refusal: HTTP status, the counter's label and a constant text. */
class Refusal extends Error {
  /**
   * @param {number} status
   * @param {import("./metrics.js").BeaconResult} result
   * @param {string} message
   */
  constructor(status, result, message) {
    super(message);
    this.status = status;
    this.result = result;
  }
}

/** @param {unknown} err */
function refusalOf(err) {
  if (err instanceof Refusal) return err;
  if (err instanceof BeaconError) return new Refusal(400, "malformed", `malformed beacon: ${err.message}`);
  return new Refusal(400, "malformed", "the body did not arrive");
}

/**
 * A token bucket over all senders together: behind a proxy they share one
 * address, and an address is personal data that this server does not want.
 *
 * @param {number} perSecond
 * @param {() => number} now ms
 */
export function createBucket(perSecond, now) {
  let tokens = perSecond;
  let at = now();
  return () => {
    tokens = Math.min(perSecond, tokens + ((now() - at) * perSecond) / 1000);
    at = now();
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  };
}

/**
 * @param {Request} req
 * @returns {Promise<string>}
 */
async function readBody(req) {
  const tooLarge = new Refusal(413, "too_large", `a beacon has at most ${MAX_BODY} bytes`);
  if (Number(req.headers["content-length"] ?? 0) > MAX_BODY) throw tooLarge;
  const chunks = [];
  let size = 0;
  for await (const chunk of req) {
    size += chunk.length;
    if (size > MAX_BODY) throw tooLarge;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/**
 * @param {{
 *   config: import("./config.js").Config,
 *   metrics: ReturnType<typeof import("./metrics.js").createMetrics>,
 *   holder: ReturnType<typeof import("./holder.js").createHolder>,
 *   now: () => number,
 * }} parts
 */
export function createIntake({ config, metrics, holder, now }) {
  const admit = createBucket(config.perSecond, now);
  let open = true;

  /** @param {Request} req */
  const accept = async (req) => {
    if (!open) throw new Refusal(503, "stopping", "shutting down");
    if (!config.origins.has(req.headers.origin ?? "")) throw new Refusal(403, "wrong_origin", "origin is not on the list");
    if (!admit()) throw new Refusal(429, "rate_limited", "too many beacons");
    if (!/^(text\/plain|application\/json)\s*(;|$)/i.test(req.headers["content-type"] ?? "")) {
      throw new Refusal(415, "wrong_type", "a beacon is text/plain or application/json");
    }
    const beacon = readBeacon(await readBody(req));
    if (beacon.env !== config.env) throw new Refusal(422, "wrong_env", `this server collects for env ${config.env}`);
    // Shutdown may have begun while the body came in; the holder is empty then.
    if (!open) throw new Refusal(503, "stopping", "shutting down");
    metrics.beacon("accepted");
    for (const { id, name, value } of beacon.samples) {
      metrics.sample(name, holder.report({ id, name, value, page: beacon.page }, beacon.final));
    }
  };

  return {
    get open() {
      return open;
    },
    /** Refuses every beacon from now on. */
    close() {
      open = false;
    },

    /** Lets pages of the listed origins read the answer. @param {Request} req @param {Response} res */
    allowOrigin(req, res) {
      res.setHeader("Vary", "Origin");
      const origin = req.headers.origin ?? "";
      if (config.origins.has(origin)) res.setHeader("Access-Control-Allow-Origin", origin);
    },

    /** @param {Request} req @param {Response} res */
    async beacon(req, res) {
      try {
        await accept(req);
        res.writeHead(204).end();
      } catch (err) {
        const { status, result, message } = refusalOf(err);
        metrics.beacon(result);
        if (status === 429) res.setHeader("Retry-After", "1");
        // Closing spares us the rest of a body that nobody will read.
        res.writeHead(status, { "Content-Type": "text/plain; charset=utf-8", Connection: "close" }).end(`${message}\n`);
      }
    },

    /** @param {Request} req @param {Response} res */
    async preflight(req, res) {
      if (!config.origins.has(req.headers.origin ?? "")) {
        res.writeHead(403).end();
        return;
      }
      res.setHeader("Access-Control-Allow-Methods", "POST");
      res.setHeader("Access-Control-Allow-Headers", "Content-Type");
      res.setHeader("Access-Control-Max-Age", PREFLIGHT_S);
      res.writeHead(204).end();
    },
  };
}
