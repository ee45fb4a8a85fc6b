/**
 * Keeps an event stream alive: reads it over fetch, resumes after the last id
 * seen, reconnects with growing pauses, and treats silence beyond the heartbeat
 * as a broken line. The events of a decision are handed over together, once the last
 * one has come, which has the id: those of a decision that was cut come again.
 */
import { MAX_EVENT, SseParser, type SseEvent } from "./sse";

export type LiveState = "connecting" | "live" | "reconnecting";

/** Silence after which the line is taken for dead: three missed heartbeats. */
export const SILENCE_MS = 15_000;

/** Pauses before a reconnect double from the first to the last. */
export const FIRST_PAUSE_MS = 500;
export const LAST_PAUSE_MS = 15_000;

export interface StreamOptions {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly signal: AbortSignal;
  readonly fetch: typeof fetch;
  readonly random: () => number;
  readonly onEvent: (event: SseEvent) => void;
  readonly onState: (state: LiveState) => void;
  /** The key is not valid (any more); the stream has ended. */
  readonly onUnauthorised: () => void;
  /** Resolves when there is reason to try at once (the network is back); gives up with the signal. */
  readonly wake?: (givenUp: AbortSignal) => Promise<void>;
}

/** Half of the pause is fixed, half is chance: clients must not return in step. */
export function pauseMs(failures: number, random: () => number): number {
  const pause = Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures, 10));
  return pause / 2 + (random() * pause) / 2;
}

class Refused extends Error {
  constructor(
    readonly status: number,
    readonly retryAfterMs: number,
  ) {
    super(`stream: status ${status}`);
  }
}

/** Runs until the signal is aborted or the key is refused. Never rejects. */
export async function runStream(options: StreamOptions): Promise<void> {
  const { signal, onState } = options;
  let lastId = "";
  let failures = 0;
  onState("connecting");
  while (!signal.aborted) {
    let floor = 0;
    try {
      const held: SseEvent[] = []; // of a decision that goes on
      let size = 0;
      await readOnce(options, lastId, (event) => {
        failures = 0;
        onState("live");
        held.push(event);
        size += event.data.length;
        if (size > MAX_EVENT) throw new Error("event stream: decision too long");
        if (!event.last) return;
        lastId = event.id;
        size = 0;
        for (const whole of held.splice(0)) options.onEvent(whole);
      });
    } catch (err) {
      if (signal.aborted) return;
      if (err instanceof Refused) {
        if (err.status === 401 || err.status === 403) {
          options.onUnauthorised();
          return;
        }
        // A server that does not accept the place to resume at starts afresh.
        if (err.status < 500 && err.status !== 429) lastId = "";
        floor = err.retryAfterMs;
      }
    }
    if (signal.aborted) return;
    onState("reconnecting");
    await pause(Math.max(floor, pauseMs(failures++, options.random)), signal, options.wake);
  }
}

/** One connection; returns when the server ends it, throws when it breaks. */
async function readOnce(options: StreamOptions, lastId: string, onEvent: (event: SseEvent) => void): Promise<void> {
  const line = new AbortController();
  const end = () => line.abort();
  options.signal.addEventListener("abort", end);
  let silence = setTimeout(end, SILENCE_MS);
  try {
    const answer = await options.fetch(options.url, {
      headers: { ...options.headers, Accept: "text/event-stream", ...(lastId === "" ? {} : { "Last-Event-ID": lastId }) },
      signal: line.signal,
      cache: "no-store",
      credentials: "same-origin",
    });
    if (!answer.ok || !answer.body) {
      throw new Refused(answer.status, 1000 * (Number(answer.headers.get("Retry-After")) || 0));
    }
    const parser = new SseParser();
    parser.lastId = lastId;
    const decoder = new TextDecoder();
    const reader = answer.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(silence);
      silence = setTimeout(end, SILENCE_MS);
      for (const event of parser.feed(decoder.decode(value, { stream: true }))) onEvent(event);
    }
  } finally {
    clearTimeout(silence);
    options.signal.removeEventListener("abort", end);
    line.abort();
  }
}

function pause(ms: number, signal: AbortSignal, wake: StreamOptions["wake"]): Promise<void> {
  return new Promise((resolve) => {
    const over = new AbortController();
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { signal: over.signal });
    void wake?.(over.signal).then(done);
    function done() {
      clearTimeout(timer);
      over.abort();
      resolve();
    }
  });
}
