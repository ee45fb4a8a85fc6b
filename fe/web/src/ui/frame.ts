/**
 * When the page does work. Handlers only note what changed; drawing happens once
 * per frame, and what the stream brings is taken in gulps: a person reads four
 * updates a second, a busy market makes hundreds.
 */

/** Time between two gulps of the stream. */
export const GULP_MS = 250;

/** Events that may wait, a hidden page's included, before they are folded at once. */
export const GULP_MAX = 2000;

/** Returns a function that asks for a draw; many calls before the frame are one. */
export function perFrame(draw: () => void, nextFrame: (run: () => void) => unknown): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    nextFrame(() => {
      asked = false;
      draw();
    });
  };
}

/** Returns a function that collects items and hands them on together. */
export function inGulps<T>(take: (items: T[]) => void, delayMs = GULP_MS): (item: T, now?: boolean) => void {
  let items: T[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    const all = items;
    items = [];
    take(all);
  };
  return (item, now = false) => {
    items.push(item);
    if (now || items.length >= GULP_MAX) flush();
    else timer ??= setTimeout(flush, delayMs);
  };
}

/** Returns a function that runs `act` once the calls have paused for `ms`. */
export function debounced(act: () => void, ms: number): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(act, ms);
  };
}

/** Returns a function that runs `act` within `ms` of a call; calls until then are one. */
export function atMostEvery(act: () => void, ms: number): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    setTimeout(() => {
      asked = false;
      act();
    }, ms);
  };
}
