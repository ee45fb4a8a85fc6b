/**
 * Holds the newest value of each metric id until no other can follow.
 *
 * A page reports the same id several times (each time its tab is hidden), and
 * the last report is the one that counts. A histogram cannot take back what it
 * has observed, so a value is held here and observed exactly once:
 *
 *  - at once, when the page says that it is left (final);
 *  - else when `settleMs` have passed since the id's last report;
 *  - earlier, when more than `limit` ids are held: the one silent the longest;
 *  - at shutdown.
 *
 * A report for an id that was already observed is late: it is counted and
 * dropped, so a page that is hidden for longer than `settleMs` and used again
 * keeps its first value. The last `limit` observed ids are remembered for that.
 *
 * @typedef {import("./queue.js").Sample & { page: string }} Held
 */

/** Ids held, and observed ids remembered: about 2 MB together. */
export const MAX_IDS = 10_000;

/**
 * @param {{
 *   settleMs: number,
 *   observe: (sample: Held) => void,
 *   now?: () => number,
 *   limit?: number,
 * }} options
 */
export function createHolder({ settleMs, observe, now = Date.now, limit = MAX_IDS }) {
  /** @type {Map<string, { sample: Held, at: number }>} silent the longest first */
  const held = new Map();
  /** @type {Set<string>} observed the longest ago first */
  const done = new Set();

  /** @param {string} key @param {Held} sample */
  const finish = (key, sample) => {
    held.delete(key);
    done.add(key);
    if (done.size > limit) done.delete(/** @type {string} */ (done.values().next().value));
    observe(sample);
  };

  /** @param {(entry: { sample: Held, at: number }) => boolean} ripe */
  const finishWhile = (ripe) => {
    for (const [key, entry] of held) {
      if (!ripe(entry)) return;
      finish(key, entry.sample);
    }
  };

  return {
    get size() {
      return held.size;
    },

    /**
     * Takes a report and says what became of it.
     *
     * @param {Held} sample
     * @param {boolean} final
     * @returns {"held" | "replaced" | "observed" | "late"}
     */
    report(sample, final) {
      const key = `${sample.name} ${sample.id}`;
      if (done.has(key)) return "late";
      if (final) {
        finish(key, sample);
        return "observed";
      }
      const known = held.delete(key);
      held.set(key, { sample, at: now() });
      if (held.size > limit) {
        let over = held.size - limit;
        finishWhile(() => over-- > 0);
      }
      return known ? "replaced" : "held";
    },

    /** Observes the ids that were silent for settleMs. */
    sweep() {
      const before = now() - settleMs;
      finishWhile(({ at }) => at <= before);
    },

    /** Observes everything that is held. */
    flush() {
      finishWhile(() => true);
    },
  };
}
