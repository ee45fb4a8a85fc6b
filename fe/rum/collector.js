/**
 * Real-user measurement in the page: INP, LCP, CLS and TTFB as the web-vitals
 * library defines them, sent to the RUM server when the page is hidden or left.
 *
 * Standard behaviour is kept: INP is final only when the page goes, so nothing
 * is sent on a timer and nothing on unload, which would cost the back button its
 * cache. When the tab is hidden the values so far travel, because a phone may
 * never wake it again; when the page is left they travel once more, marked final.
 */
import { onCLS, onINP, onLCP, onTTFB } from "web-vitals";
import { createQueue } from "./queue.js";

/**
 * Starts to measure. `page` is the template of the route ("/"), never the
 * address; `env` must be the one the RUM server collects for.
 *
 * @param {{ url: string, page: string, env: string }} options
 */
export function collect({ url, page, env }) {
  const queue = createQueue({ page, env });
  let left = false;

  const flush = () => {
    for (const body of queue.drain(left)) send(url, body);
  };

  /** @param {import("web-vitals").MetricType} metric */
  const report = ({ id, name, value }) => {
    if (name === "FCP") return;
    queue.add({ id, name, value });
    // A report that comes after the page was hidden finds no later event that
    // would send it.
    if (document.visibilityState === "hidden") queueMicrotask(flush);
  };
  onINP(report);
  onLCP(report);
  onCLS(report);
  onTTFB(report);

  // Browsers differ in the order of the two events on leaving, so both flush.
  // web-vitals listens in the capture phase; this bubbling listener comes after
  // its reports and sends them in one body.
  addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") flush();
  });
  addEventListener("pagehide", () => {
    left = true;
    // Where pagehide comes first, the reports are only made by the
    // visibilitychange that follows: it sends them, marked final.
    if (document.visibilityState === "hidden") flush();
  });
  addEventListener("pageshow", (event) => {
    // Back from the back/forward cache: web-vitals counts it as a new page.
    if (event.persisted) left = false;
  });
}

/**
 * A string body is text/plain and needs no preflight. sendBeacon refuses when
 * its quota is used up; fetch with keepalive is the second try. What both drop
 * is lost: measuring must never disturb the page.
 *
 * @param {string} url
 * @param {string} body
 */
function send(url, body) {
  if (navigator.sendBeacon?.(url, body)) return;
  fetch(url, { method: "POST", body, keepalive: true, credentials: "omit", mode: "no-cors" }).catch(() => {});
}
