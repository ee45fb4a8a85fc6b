/**
 * The RUM server: beacons in, Prometheus histograms out.
 *
 *   POST /rum      a beacon of collector.js, ≤ 64 KiB; 204, else 4xx
 *   GET  /metrics  web_vitals_inp_ms{page,env} and its kin
 *   GET  /healthz  200 while it takes beacons
 *
 * It stores no address, no cookie, no header and no body; the log has one line
 * at the start and one at the end. README.md has the settings.
 */
import { realpathSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { readConfig } from "./config.js";
import { createHolder } from "./holder.js";
import { createIntake } from "./intake.js";
import { createMetrics } from "./metrics.js";

/** A beacon is one packet; who needs longer only holds a socket. */
const REQUEST_TIMEOUT_MS = 5000;

/** Sockets at the same time; a beacon's lives for milliseconds. */
const MAX_CONNECTIONS = 1000;

/** Between two looks for values that have settled. */
const SWEEP_MS = 1000;

const TEXT = { "Content-Type": "text/plain; charset=utf-8" };

/**
 * Makes the server; it does not listen yet.
 *
 * @param {import("./config.js").Config} config
 * @param {() => number} [now] ms
 */
export function createRum(config, now = Date.now) {
  let unscraped = false; // a value was observed after the last scrape
  let onScraped = () => {};
  const holder = createHolder({
    settleMs: config.settleMs,
    now,
    observe(sample) {
      unscraped = true;
      metrics.observe(sample);
    },
  });
  const metrics = createMetrics({ env: config.env, pages: config.pages, held: () => holder.size });
  const intake = createIntake({ config, metrics, holder, now });

  /** @type {Record<string, (req: import("./intake.js").Request, res: import("./intake.js").Response) => Promise<void>>} */
  const routes = {
    "POST /rum": intake.beacon,
    "OPTIONS /rum": intake.preflight,
    "GET /metrics": async (_, res) => {
      holder.sweep();
      unscraped = false;
      const text = await metrics.registry.metrics();
      res.writeHead(200, { "Content-Type": metrics.registry.contentType }).end(text, onScraped);
    },
    "GET /healthz": async (_, res) => {
      res.writeHead(intake.open ? 200 : 503, TEXT).end(intake.open ? "ok\n" : "stopping\n");
    },
  };
  const paths = new Set(Object.keys(routes).map((route) => route.split(" ")[1]));

  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS }, (req, res) => {
    const path = (req.url ?? "/").split("?", 1)[0] ?? "/";
    if (path === "/rum") intake.allowOrigin(req, res);
    const route = routes[`${req.method} ${path}`];
    if (route) route(req, res).catch(() => res.destroy());
    else res.writeHead(paths.has(path) ? 405 : 404, { Connection: "close" }).end();
  });
  server.maxConnections = MAX_CONNECTIONS;
  const sweeper = setInterval(() => holder.sweep(), SWEEP_MS).unref();

  /**
   * Refuses beacons from now on, observes what is held, and closes once that
   * was scraped, after RUM_LINGER_S at the latest: a value that nobody scrapes
   * is lost with the process.
   */
  const stop = async () => {
    intake.close();
    clearInterval(sweeper);
    holder.flush();
    if (unscraped) {
      await new Promise((resolve) => {
        onScraped = () => resolve(undefined);
        setTimeout(resolve, config.lingerMs);
      });
    }
    server.close();
    server.closeAllConnections();
  };
  return { server, stop };
}

function main() {
  const config = readConfig(process.env);
  const { server, stop } = createRum(config);
  server.on("error", (err) => {
    console.error(`rum: listen on ${config.host}:${config.port}: ${err.message}`);
    process.exit(1);
  });
  server.listen(config.port, config.host, () => {
    const address = /** @type {import("node:net").AddressInfo} */ (server.address());
    console.log(`rum: listening on http://${address.address}:${address.port} env=${config.env}`);
  });
  const end = async () => {
    await stop();
    console.log("rum: stopped");
    process.exit(0);
  };
  process.once("SIGTERM", end);
  process.once("SIGINT", end);
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    main();
  } catch (err) {
    console.error(`rum: ${err instanceof Error ? err.message : err}`);
    process.exit(1);
  }
}
