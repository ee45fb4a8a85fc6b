/**
 * The collector's queue: which values are still to be sent, and in what words.
 * It is pure, so that the rules can be tested without a browser.
 *
 * A metric reports several times in the life of a page and each report carries
 * the same id, so the queue keeps one value per id, the last. A body holds the
 * page's template, the environment and (id, name, value) per metric: no URL, no
 * account, nothing about the person.
 *
 * @typedef {{ id: string, name: "INP" | "LCP" | "CLS" | "TTFB", value: number }} Sample
 * @typedef {{ page: string, env: string }} Place
 */

/** Version of the body; the server refuses any other. */
export const BODY_VERSION = 1;

/**
 * Samples in one body. A page has four metrics and a few visits by the back
 * button; 64 of at most 150 bytes stay far below the 64 KiB that browsers grant
 * to all beacons in flight.
 */
export const MAX_SAMPLES = 64;

/** Ids that a page remembers. The oldest is forgotten, sent or not. */
export const MAX_IDS = 256;

/**
 * @param {Place} place
 */
export function createQueue(place) {
  /** @type {Map<string, Sample>} newest value of each id, oldest report first */
  const latest = new Map();
  /** @type {Set<string>} ids whose newest value was not sent yet */
  const unsent = new Set();

  return {
    /** Takes a report; a later one of the same id replaces it. @param {Sample} sample */
    add({ id, name, value }) {
      latest.delete(id);
      latest.set(id, { id, name, value });
      unsent.add(id);
      if (latest.size > MAX_IDS) {
        const oldest = /** @type {string} */ (latest.keys().next().value);
        latest.delete(oldest);
        unsent.delete(oldest);
      }
    },

    /**
     * Returns the bodies to send now. A final drain repeats the newest value of
     * every id, sent before or not, and says that no other will follow; then the
     * queue is empty.
     *
     * @param {boolean} final
     * @returns {string[]}
     */
    drain(final) {
      const samples = [...latest.values()].filter((s) => final || unsent.has(s.id));
      unsent.clear();
      if (final) latest.clear();
      const bodies = [];
      for (let i = 0; i < samples.length; i += MAX_SAMPLES) {
        bodies.push(JSON.stringify({ v: BODY_VERSION, ...place, final, samples: samples.slice(i, i + MAX_SAMPLES) }));
      }
      return bodies;
    },
  };
}
