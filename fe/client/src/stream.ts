/** Server-sent events over fetch, with resume (WHATWG HTML, section 9.2). */
import type {
  AccountSnapshot, MarketAt, StreamFill, StreamGap, StreamGrant, StreamHeartbeat, StreamHolding, StreamOrder, StreamPayout, StreamQuote, StreamSettled,
  StreamSnapshot, StreamStanding, StreamTrade,
} from "./api_gen.js";
import { pause, waitMs, type Retry } from "./client.js";
import { problemOf } from "./problem.js";

/** An event of some kind; `seq` is where a stream that breaks after it goes on. */
interface Of<K extends string, D> {
  readonly seq: number;
  readonly kind: K;
  readonly data: D;
}

/**
 * What every stream says: it is alive, or, where the server cannot tell any more what was
 * missed, that there is a gap; a snapshot follows it.
 */
type AnyStream = Of<"heartbeat", StreamHeartbeat> | Of<"gap", StreamGap>;

/** An event of the live stream of all markets, or of one. */
export type StreamEvent = AnyStream | Of<"snapshot", StreamSnapshot> | Of<"trade", StreamTrade> | Of<"quote", StreamQuote> | Of<"market", MarketAt>;

/** An event of the live stream of an account. */
export type AccountEvent =
  | AnyStream
  | Of<"snapshot", AccountSnapshot>
  | Of<"fill", StreamFill>
  | Of<"order", StreamOrder>
  | Of<"grant", StreamGrant>
  | Of<"payout", StreamPayout>
  | Of<"sets", StreamHolding>
  | Of<"liquidity", StreamHolding>
  | Of<"settled", StreamSettled>
  | Of<"account", StreamStanding>;

/** An event of whichever stream. */
type AnyEvent = StreamEvent | AccountEvent;

/** Silence after which a line counts as broken, in milliseconds: three heartbeats. */
export const SILENCE_MS = 15_000;

/** No event is longer, in characters. */
const MAX_EVENT = 64 * 2 ** 20;

interface Following {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly retry: Retry;
  readonly after: number;
  readonly signal: AbortSignal | undefined;
}

/** Follows a stream over as many connections as it takes. */
export async function* follow<E extends AnyEvent>(f: Following): AsyncGenerator<E, void, undefined> {
  let last = f.after;
  for (let broken = 1; ; broken++) {
    try {
      for await (const event of listen<E>(f, last)) {
        broken = 1; // a heartbeat counts, too: an idle market wears nobody out
        last = event.seq;
        yield event;
      }
      throw new Error("the server ended the stream");
    } catch (err) {
      if (f.signal?.aborted) return;
      const wait = waitMs(f.retry, broken, err);
      if (wait === undefined) throw err;
      await pause(wait, f.signal).catch(() => undefined); // asked to end: the next connection does not begin
      if (f.signal?.aborted) return;
    }
  }
}

/** Reads one connection to its end. */
async function* listen<E extends AnyEvent>(f: Following, after: number): AsyncGenerator<E, void, undefined> {
  const silent = new AbortController();
  let timer = setTimeout(() => silent.abort(), SILENCE_MS);
  try {
    const headers: Record<string, string> = { ...f.headers, Accept: "text/event-stream" };
    if (after > 0) headers["Last-Event-ID"] = String(after);
    const signal = f.signal ? AbortSignal.any([f.signal, silent.signal]) : silent.signal;
    const answer = await fetch(f.url, { headers, signal, redirect: "manual" });
    if (!answer.ok || answer.body === null) throw problemOf(answer.status, answer.headers, await answer.text(), Date.now());
    const parser = new EventParser<E>(after);
    const decoder = new TextDecoder();
    for await (const chunk of answer.body) {
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), SILENCE_MS);
      yield* parser.feed(decoder.decode(chunk as Uint8Array, { stream: true }));
    }
  } finally {
    clearTimeout(timer);
    silent.abort(); // who stops listening closes the line
  }
}

/**
 * Cuts text into events. Those without an id carry the last one, and wait for the event
 * with an id that ends their decision: a line that breaks in between leaves none that
 * comes twice.
 */
export class EventParser<E extends AnyEvent> {
  private rest = "";
  private kind = "";
  private data: string[] = [];
  private ends = false;
  private held: E[] = [];
  private size = 0;

  constructor(private seq: number) {}

  /** Takes the next piece of text and returns the events that it completes. */
  *feed(text: string): Generator<E, void, undefined> {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    if (this.rest.length > MAX_EVENT) throw new Error(`an event is longer than ${MAX_EVENT} characters`);
    for (const line of lines) {
      const event = this.line(line.endsWith("\r") ? line.slice(0, -1) : line);
      if (event === undefined) continue;
      this.held.push(event);
      if (!this.ends) {
        if (this.size > MAX_EVENT) throw new Error(`a decision is longer than ${MAX_EVENT} characters`);
        continue;
      }
      const { held } = this;
      this.held = [];
      this.size = 0;
      this.ends = false;
      yield* held;
    }
  }

  private line(line: string): E | undefined {
    if (line === "") {
      const { kind, data } = this;
      this.kind = "";
      this.data = [];
      if (data.length === 0) return undefined;
      return { seq: this.seq, kind, data: JSON.parse(data.join("\n")) as unknown } as unknown as E;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.kind = value;
    else if (field === "data") {
      this.data.push(value);
      this.size += value.length;
    } else if (field === "id" && /^[0-9]{1,16}$/.test(value)) {
      this.seq = Number(value);
      this.ends = true;
    }
    return undefined;
  }
}
