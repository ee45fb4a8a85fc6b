/** Server-sent events over fetch, with resume (WHATWG HTML, section 9.2). */
import type { MarketAt, StreamHeartbeat, StreamQuote, StreamSnapshot, StreamTrade } from "./api_gen.js";
import { pause, waitMs, type Retry } from "./client.js";
import { problemOf } from "./problem.js";

/** An event of the live stream; `seq` is where a stream that breaks after it goes on. */
export type StreamEvent =
  | { readonly seq: number; readonly kind: "snapshot"; readonly data: StreamSnapshot }
  | { readonly seq: number; readonly kind: "trade"; readonly data: StreamTrade }
  | { readonly seq: number; readonly kind: "quote"; readonly data: StreamQuote }
  | { readonly seq: number; readonly kind: "market"; readonly data: MarketAt }
  | { readonly seq: number; readonly kind: "heartbeat"; readonly data: StreamHeartbeat };

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

/** Follows the stream over as many connections as it takes. */
export async function* follow(f: Following): AsyncGenerator<StreamEvent, void, undefined> {
  let last = f.after;
  for (let broken = 1; ; broken++) {
    try {
      for await (const event of listen(f, last)) {
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
async function* listen(f: Following, after: number): AsyncGenerator<StreamEvent, void, undefined> {
  const silent = new AbortController();
  let timer = setTimeout(() => silent.abort(), SILENCE_MS);
  try {
    const headers: Record<string, string> = { ...f.headers, Accept: "text/event-stream" };
    if (after > 0) headers["Last-Event-ID"] = String(after);
    const signal = f.signal ? AbortSignal.any([f.signal, silent.signal]) : silent.signal;
    const answer = await fetch(f.url, { headers, signal, redirect: "manual" });
    if (!answer.ok || answer.body === null) throw problemOf(answer.status, answer.headers, await answer.text(), Date.now());
    const parser = new EventParser(after);
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
export class EventParser {
  private rest = "";
  private kind = "";
  private data: string[] = [];
  private ends = false;
  private held: StreamEvent[] = [];
  private size = 0;

  constructor(private seq: number) {}

  /** Takes the next piece of text and returns the events that it completes. */
  *feed(text: string): Generator<StreamEvent, void, undefined> {
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

  private line(line: string): StreamEvent | undefined {
    if (line === "") {
      const { kind, data } = this;
      this.kind = "";
      this.data = [];
      if (data.length === 0) return undefined;
      return { seq: this.seq, kind, data: JSON.parse(data.join("\n")) as unknown } as StreamEvent;
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
