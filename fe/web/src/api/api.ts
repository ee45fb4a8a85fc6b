/**
 * The client of /v1. Who asks is the browser's session, by a cookie that no script
 * reads; what changes something carries the session's own token, so that no other
 * page can make the browser do it.
 */
import { oneOf, type Check } from "../model/decode";

/** Longest wait for an answer; the server's own goal is below one second. */
export const TIMEOUT_MS = 10_000;

/** A problem document (RFC 9457) as the panel needs it. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly retryAfterSeconds: number,
  ) {
    super(`${status} ${code}`);
  }
}

/** What a part of the page keeps of an error that is not a lost line: a problem's own code, else `unknown`. */
export function refusal(err: unknown) {
  const { code, retryAfterSeconds } = err instanceof Problem ? err : { code: "unknown", retryAfterSeconds: 0 };
  return { kind: "problem", code, retry: retryAfterSeconds } as const;
}

/** No answer came: refused connection, broken line, or too slow. */
export class NoAnswer extends Error {}

const isProblem = oneOf("application/problem+json", "application/json");

export async function problemOf(answer: Response): Promise<Problem> {
  let code = "unknown";
  try {
    isProblem(answer.headers.get("Content-Type")?.split(";")[0], "content type");
    const body = (await answer.json()) as { code?: unknown };
    if (typeof body.code === "string" && /^[a-z_]{1,40}$/.test(body.code)) code = body.code;
  } catch {
    // A proxy answered, or nothing that can be read: the status has to do.
  }
  return new Problem(answer.status, code, Number(answer.headers.get("Retry-After")) || 0);
}

export class Api {
  constructor(
    private readonly csrf: string,
    private readonly fetch: typeof globalThis.fetch,
  ) {}

  /** Headers for a request of one's own, as the stream makes it. */
  headers(): Record<string, string> {
    return { "X-CSRF-Token": this.csrf };
  }

  get<T>(path: string, check: Check<T>, signal?: AbortSignal): Promise<T> {
    return this.call(path, { headers: this.headers() }, check, signal);
  }

  /** Sends a command. The same idempotency key and body give the same answer, once. */
  post<T>(path: string, body: object, idempotencyKey: string, check: Check<T>): Promise<T> {
    const headers = { ...this.headers(), "Content-Type": "application/json", "Idempotency-Key": idempotencyKey };
    return this.call(path, { method: "POST", headers, body: JSON.stringify(body) }, check);
  }

  private async call<T>(path: string, init: RequestInit, check: Check<T>, signal?: AbortSignal): Promise<T> {
    const limit = AbortSignal.timeout(TIMEOUT_MS);
    let answer: Response;
    let body: unknown;
    try {
      answer = await this.fetch(path, {
        ...init,
        signal: signal ? AbortSignal.any([signal, limit]) : limit,
        cache: "no-store",
        credentials: "same-origin",
        redirect: "error",
      });
      if (!answer.ok) throw await problemOf(answer);
      body = await answer.json();
    } catch (err) {
      if (err instanceof Problem || signal?.aborted) throw err;
      throw new NoAnswer(`${path}: no answer`, { cause: err });
    }
    return check(body, path);
  }
}
