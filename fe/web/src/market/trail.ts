/** The price trail as the points of an SVG line. */

interface Point {
  readonly at: number;
  readonly price: number;
}

/** Size of the drawing, in its own units. */
export const WIDTH = 600;
export const HEIGHT = 96;

/** Least range of prices that fills the height, so that noise looks like noise: 4 points. */
const LEAST_RANGE = 40_000;

const MARGIN = 6;

/** Returns the line from the oldest point at the left to now at the right; a price holds until the next. */
export function trailPoints(points: readonly Point[], now: number): string {
  const first = points[0];
  if (!first) return "";
  const prices = points.map((p) => p.price);
  const [low, high] = [Math.min(...prices), Math.max(...prices)];
  const range = Math.max(LEAST_RANGE, high - low);
  const middle = (low + high) / 2;
  const span = Math.max(1, now - first.at);
  const x = (at: number) => ((Math.min(Math.max(at, first.at), now) - first.at) / span) * WIDTH;
  const y = (price: number) => HEIGHT / 2 - ((price - middle) / range) * (HEIGHT - 2 * MARGIN);
  const text: string[] = [];
  const add = (at: number, price: number) => text.push(`${x(at).toFixed(1)},${y(price).toFixed(1)}`);
  points.forEach((p, i) => {
    const before = points[i - 1];
    if (before) add(p.at, before.price);
    add(p.at, p.price);
  });
  add(now, prices.at(-1) ?? 0);
  return text.join(" ");
}
