/**
 * Reads histograms from the Prometheus text format, as far as this project
 * writes it: https://prometheus.io/docs/instrumenting/exposition_formats/
 *
 * @typedef {{ labels: Record<string, string>, count: number, sum: number, buckets: { le: number, count: number }[] }} Histogram
 */

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?$/;
const LABELS = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"\s*(?:,|$)/gy;

/** @param {string} text */
function number(text) {
  const value = text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text);
  if (text === "" || Number.isNaN(value) !== (text === "NaN")) throw new Error(`not a number: ${text}`);
  return value;
}

/** @param {string} text the part between the braces */
function readLabels(text) {
  /** @type {Record<string, string>} */
  const labels = {};
  let end = 0;
  for (const match of text.matchAll(LABELS)) {
    labels[/** @type {string} */ (match[1])] = /** @type {string} */ (match[2])
      .replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
    end = match.index + match[0].length;
  }
  if (end !== text.length) throw new Error("labels that cannot be read");
  return labels;
}

/**
 * @param {string} text
 * @param {string} name of the histogram
 * @returns {Histogram[]} one per label set, in the order of the text
 */
export function readHistograms(text, name) {
  /** @type {Map<string, Histogram>} */
  const found = new Map();
  for (const line of text.split("\n")) {
    if (!line.startsWith(name)) continue;
    const match = LINE.exec(line.trim());
    if (!match) throw new Error(`line that cannot be read: ${line}`);
    const suffix = /** @type {string} */ (match[1]).slice(name.length);
    if (!["_bucket", "_sum", "_count"].includes(suffix)) continue;
    const { le, ...labels } = readLabels(match[2] ?? "");
    const key = JSON.stringify(Object.entries(labels).sort());
    const histogram = found.get(key) ?? { labels, count: 0, sum: 0, buckets: [] };
    found.set(key, histogram);
    const value = number(/** @type {string} */ (match[3]));
    if (suffix === "_sum") histogram.sum = value;
    else if (suffix === "_count") histogram.count = value;
    else histogram.buckets.push({ le: number(le ?? ""), count: value });
  }
  for (const { buckets } of found.values()) buckets.sort((a, b) => a.le - b.le);
  return [...found.values()];
}

/**
 * The histogram's quantile without interpolation: the upper edge of the bucket
 * that holds it, so the true quantile is at most this.
 *
 * @param {Histogram} histogram
 * @param {number} q 0 < q < 1
 * @returns {number | null} null without samples, or when it lies above the last edge
 */
export function upperBound({ count, buckets }, q) {
  const bucket = buckets.find((b) => b.count >= q * count);
  return count > 0 && bucket && Number.isFinite(bucket.le) ? bucket.le : null;
}

/**
 * Adds histograms with equal edges.
 *
 * @param {Histogram[]} histograms at least one
 * @returns {Histogram} without labels
 */
export function merge(histograms) {
  const [first, ...rest] = histograms;
  if (!first) throw new Error("nothing to merge");
  const total = { labels: {}, count: first.count, sum: first.sum, buckets: first.buckets.map((b) => ({ ...b })) };
  for (const { count, sum, buckets } of rest) {
    total.count += count;
    total.sum += sum;
    for (const [i, bucket] of total.buckets.entries()) {
      const other = buckets[i];
      if (buckets.length !== total.buckets.length || other?.le !== bucket.le) throw new Error("edges differ");
      bucket.count += other.count;
    }
  }
  return total;
}
