/**
 * Sends a command until its fate is known. All tries of one command carry one
 * idempotency key, so however many arrive, it takes effect once.
 */
import { NoAnswer, Problem } from "./api";

/** Tries, and the pauses between them: about 8 s, what a person waits. */
export const PAUSES_MS = [300, 700, 1500, 2500, 3000];

/** The command may or may not have taken effect; sending it again is safe. */
export class OutcomeUnknown extends Error {}

/** Refusals from before a decision that ask to come again. */
const NOT_TAKEN: ReadonlySet<string> = new Set(["overloaded", "too_many_requests"]);

/** A random key, RFC 9562 version 4; also where the page is not on a secure origin. */
export function newKey(source: Crypto): string {
  if (source.randomUUID) return source.randomUUID();
  const b = source.getRandomValues(new Uint8Array(16));
  b[6] = ((b[6] ?? 0) & 0x0f) | 0x40;
  b[8] = ((b[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...b].map((x) => x.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/**
 * Whether the answer leaves the fate open. A rejection (409, 422, `rate_limited`)
 * is a decision and final; `overloaded` and `too_many_requests` mean that this
 * try was not decided, and say nothing of the tries before it.
 */
export function undecided(err: unknown): boolean {
  if (err instanceof NoAnswer) return true;
  return err instanceof Problem && (err.status >= 500 || (err.status === 429 && NOT_TAKEN.has(err.code)));
}

/** Runs `attempt` until it is decided; throws OutcomeUnknown when the tries are used up. */
export async function untilDecided<T>(attempt: () => Promise<T>, sleep: (ms: number) => Promise<void>): Promise<T> {
  for (let n = 0; ; n++) {
    try {
      return await attempt();
    } catch (err) {
      if (!undecided(err)) throw err;
      const pause = PAUSES_MS[n];
      if (pause === undefined) throw new OutcomeUnknown("the outcome is not known", { cause: err });
      await sleep(Math.max(pause, err instanceof Problem ? Math.min(err.retryAfterSeconds, 5) * 1000 : 0));
    }
  }
}
