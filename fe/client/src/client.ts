/**
 * The client of the API: every operation of the contract by its name, with its
 * types. A mutation carries an idempotency key that stays the same over its
 * repetitions, so that a lost answer never doubles an order; repetitions are bounded
 * and wait as the server says; no answer is read past a bound; redirects, which would
 * carry the secret to a stranger, are refused.
 */
import { routes, type Operations } from "./api_gen.js";
import { Problem, problemOf } from "./problem.js";
import { follow, type AccountEvent, type StreamEvent } from "./stream.js";

/** When a call is repeated: without an answer, after 502, 503 and 504, and after 429. */
export interface Retry {
  /** How often a call is made at most. */
  readonly attempts: number;
  /** The first wait; it doubles with each further one. */
  readonly baseMs: number;
  /** The longest wait; a longer Retry-After ends the call. */
  readonly maxMs: number;
  /** Whether a refusal for haste (429) is repeated, too. */
  readonly limited: boolean;
}

/** Four repetitions within about a second and a half, and five seconds where the server asks for it. */
export const DEFAULT_RETRY: Retry = { attempts: 5, baseMs: 100, maxMs: 5000, limited: true };

export interface Options {
  /** For example http://127.0.0.1:8420. */
  readonly url: string;
  /** The secret: mbp_ and what follows it. Empty for what anybody may read. */
  readonly key: string;
  readonly retry?: Retry;
  /** How long one attempt may take, in milliseconds; 30,000 by default. */
  readonly timeoutMs?: number;
}

type Empty<T> = keyof T extends never ? true : false;
type Part<Name extends string, T> = T extends undefined
  ? unknown
  : Empty<T> extends true
    ? { readonly [N in Name]?: T }
    : object extends T
      ? { readonly [N in Name]?: T }
      : { readonly [N in Name]: T };

/** What an operation takes: `path`, `query` and `body`, as far as it has them. */
export type Input<O extends keyof Operations> = Part<"path", Operations[O]["path"]> &
  Part<"query", Operations[O]["query"]> &
  Part<"body", Operations[O]["body"]>;

export interface Call {
  /** The idempotency key, 1..64 visible ASCII characters, for who repeats a mutation over the life of more than one process. */
  readonly key?: string;
  readonly signal?: AbortSignal;
}

/** An answer longer than this, in bytes, is none of the server. */
const MAX_ANSWER = 64 * 2 ** 20;

/** Characters of an idempotency key. */
const MAX_KEY = 64;

export class Client {
  private readonly base: string;
  readonly #key: string; // in no error, no log and no enumeration
  private readonly retry: Retry;
  private readonly timeoutMs: number;

  constructor(options: Options) {
    const url = new URL(options.url);
    if (!/^https?:$/.test(url.protocol) || url.username !== "" || url.search !== "" || url.hash !== "") {
      throw new TypeError(`${url.host} is not named as http://host[:port]`);
    }
    this.base = url.href.replace(/\/$/, "");
    this.#key = options.key;
    this.retry = options.retry ?? DEFAULT_RETRY;
    this.timeoutMs = options.timeoutMs ?? 30_000;
  }

  /**
   * Makes one call and returns its document. Throws a {@link Problem} if the server
   * refuses, and the error of the connection if no answer came.
   */
  async call<O extends keyof Operations>(operation: O, input: Input<O>, call: Call = {}): Promise<Operations[O]["answer"]> {
    const { method, path } = routes[operation];
    const given = input as { path?: object; query?: object; body?: unknown };
    const target = this.base + fill(path, given.path ?? {}) + search(given.query ?? {});
    if (method === "GET") return (await this.attempt(target, { method }, call)) as Operations[O]["answer"];
    const init = { method, body: JSON.stringify(given.body ?? {}) };
    return (await this.attempt(target, init, { ...call, key: call.key ?? crypto.randomUUID() })) as Operations[O]["answer"];
  }

  /**
   * Follows the live stream of all markets from after a sequence on (0: from now, with a snapshot
   * first), until the signal ends it. A line that breaks is made again from the last
   * event, without a gap and without anything twice.
   */
  stream(after = 0, signal?: AbortSignal): AsyncGenerator<StreamEvent, void, undefined> {
    return follow<StreamEvent>(this.following("/v1/stream", after, signal));
  }

  /** {@link stream} of one market, which the snapshot has alone. */
  streamMarket(market: string, after = 0, signal?: AbortSignal): AsyncGenerator<StreamEvent, void, undefined> {
    return follow<StreamEvent>(this.following(`/v1/markets/${encodeURIComponent(market)}/stream`, after, signal));
  }

  /**
   * {@link stream} of what an account is told: its fills, orders, grants, payouts, and where
   * it stands after each. It needs the account's own key, or a role that may read accounts.
   */
  streamAccount(account: string, after = 0, signal?: AbortSignal): AsyncGenerator<AccountEvent, void, undefined> {
    return follow<AccountEvent>(this.following(`/v1/accounts/${encodeURIComponent(account)}/stream`, after, signal));
  }

  private following(path: string, after: number, signal: AbortSignal | undefined) {
    return { url: this.base + path, headers: this.headers(), retry: this.retry, after, signal };
  }

  private headers(): Record<string, string> {
    return this.#key === "" ? {} : { Authorization: `Bearer ${this.#key}` };
  }

  private async attempt(target: string, init: { method: string; body?: string }, call: Call): Promise<unknown> {
    let refused = 0; // decisions that said rate_limited
    for (let n = 1; ; n++) {
      try {
        return await this.once(target, init, call, await again(call.key, refused));
      } catch (err) {
        if (err instanceof Problem && err.code === "rate_limited" && err.decided) refused++;
        const wait = waitMs(this.retry, n, err);
        if (wait === undefined || call.signal?.aborted) throw err;
        await pause(wait, call.signal);
      }
    }
  }

  private async once(target: string, init: { method: string; body?: string }, call: Call, key: string | undefined): Promise<unknown> {
    const headers: Record<string, string> = { ...this.headers(), Accept: "application/json" };
    if (init.body !== undefined) headers["Content-Type"] = "application/json";
    if (key !== undefined) headers["Idempotency-Key"] = key;
    const limit = AbortSignal.timeout(this.timeoutMs);
    const signal = call.signal ? AbortSignal.any([call.signal, limit]) : limit;
    const answer = await fetch(target, { ...init, headers, signal, redirect: "manual" });
    const body = await read(answer);
    if (!answer.ok) throw problemOf(answer.status, answer.headers, body, Date.now());
    return answer.headers.get("Content-Type")?.startsWith("application/json") ? JSON.parse(body) : body;
  }
}

/** Puts the parameters of a path where they belong. */
function fill(path: string, values: object): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String((values as Record<string, unknown>)[name])));
}

function search(values: object): string {
  const given = Object.entries(values).filter(([, v]) => v !== undefined);
  return given.length === 0 ? "" : `?${new URLSearchParams(given.map(([name, v]) => [name, String(v)])).toString()}`;
}

/** Reads a body up to the bound. */
async function read(answer: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of answer.body ?? []) {
    if ((bytes += (chunk as Uint8Array).length) > MAX_ANSWER) throw new Error(`the answer is longer than ${MAX_ANSWER} bytes`);
    text += decoder.decode(chunk as Uint8Array, { stream: true });
  }
  return text + decoder.decode();
}

/**
 * The key after the n-th decision that refused the request for its haste. Such a
 * refusal is journalled under its key and would be replayed; it had no effect, so
 * another key is safe, and it is the same one whenever the call is repeated.
 */
async function again(key: string | undefined, refused: number): Promise<string | undefined> {
  if (key === undefined || refused === 0) return key;
  const next = `${key}~${refused}`;
  if (next.length <= MAX_KEY) return next;
  const sum = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(next));
  return Array.from(new Uint8Array(sum), (b) => b.toString(16).padStart(2, "0")).join("");
}

/** How long to wait after the n-th attempt; undefined: it was the last. */
export function waitMs(retry: Retry, n: number, err: unknown): number | undefined {
  if (n >= retry.attempts || err instanceof SyntaxError) return undefined;
  const most = Math.min(retry.baseMs * 2 ** Math.min(n - 1, 20), retry.maxMs);
  const backoff = most / 2 + (Math.random() * most) / 2; // not in step with other clients
  if (!(err instanceof Problem)) return backoff;
  if (err.status === 429) {
    if (!retry.limited) return undefined;
    if (err.replayed) return 0; // an earlier life of this call waited here
  } else if (err.status < 502 || err.status > 504) {
    return undefined;
  }
  return err.retryAfterMs > retry.maxMs ? undefined : Math.max(backoff, err.retryAfterMs);
}

/** Waits, unless the signal ends it: then it throws its reason. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}
