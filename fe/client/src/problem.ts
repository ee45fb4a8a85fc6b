import type { ProblemCode } from "./api_gen.js";

/** The largest part of a foreign answer that an error repeats, in characters. */
const MAX_DETAIL = 500;

/** A longer wait than this, in milliseconds, is a mistake of somebody. */
const MAX_RETRY_AFTER_MS = 3_600_000;

/**
 * A refusal of the server (RFC 9457). The code is stable; whatever stands between
 * client and server may refuse, too: then it is `http_<status>`.
 */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: ProblemCode | `http_${number}`,
    readonly detail: string,
    /** The decision that refused, or the state that was looked at; 0 if neither is told. */
    readonly seq: number,
    /** Where the decision can be read; empty: none was taken. */
    readonly instance: string,
    /** How long the server asks to wait, in milliseconds; 0 if it does not say. */
    readonly retryAfterMs: number,
    /** The server had refused this idempotency key before. */
    readonly replayed: boolean,
  ) {
    super(`${code}${detail === "" ? "" : `: ${detail}`} (status ${status})`);
    this.name = "Problem";
  }

  /** A decision of the engine refused, which is journalled under its idempotency key. */
  get decided(): boolean {
    return this.seq !== 0 && this.instance !== "";
  }
}

/** Reads the refusal in an answer. */
export function problemOf(status: number, headers: Headers, body: string, now: number): Problem {
  let doc: Record<string, unknown> = {};
  if (headers.get("Content-Type")?.split(";")[0] === "application/problem+json") {
    try {
      doc = JSON.parse(body) as Record<string, unknown>;
    } catch {
      // Cut short on the way: the status has to do.
    }
  }
  const text = (name: string) => (typeof doc[name] === "string" ? (doc[name] as string) : "");
  const known = text("code") !== "";
  return new Problem(
    status,
    known ? (text("code") as ProblemCode) : `http_${status}`,
    known ? text("detail") : body.slice(0, MAX_DETAIL).trim(),
    typeof doc.seq === "number" ? doc.seq : 0,
    text("instance"),
    retryAfterMs(headers.get("Retry-After"), now),
    headers.get("Idempotency-Replayed") === "true",
  );
}

/** Seconds or a date, RFC 9110 section 10.2.3. */
function retryAfterMs(text: string | null, now: number): number {
  if (text === null) return 0;
  const ms = /^[0-9]{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS);
}
