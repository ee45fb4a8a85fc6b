import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FIRST_PAUSE_MS, LAST_PAUSE_MS, pauseMs, runStream, SILENCE_MS, type LiveState } from "./stream";

/** A server that answers each connection with the next of the given answers. */
function server(...answers: (Response | Error | ReadableStream<Uint8Array>)[]) {
  const requests: Headers[] = [];
  const fetch = vi.fn(async (_url: unknown, init?: RequestInit) => {
    requests.push(new Headers(init?.headers));
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    if (answer instanceof Response) return answer;
    const line = answer ?? open();
    const watched = new ReadableStream<Uint8Array>({
      async start(out) {
        init?.signal?.addEventListener("abort", () => out.error(new DOMException("aborted", "AbortError")));
        for await (const piece of line as unknown as AsyncIterable<Uint8Array>) out.enqueue(piece);
        out.close();
      },
    });
    return new Response(watched, { status: 200 });
  });
  return { fetch: fetch as unknown as typeof globalThis.fetch, requests };
}

const bytes = (text: string) => new TextEncoder().encode(text);
const ended = (...texts: string[]) => new Response(new Blob(texts).stream(), { status: 200 });
/** A line that says something and then stays open, silent. */
const open = (...texts: string[]) =>
  new ReadableStream<Uint8Array>({
    start(c) {
      for (const t of texts) c.enqueue(bytes(t));
    },
  });

function run(fetch: typeof globalThis.fetch, wake?: () => Promise<void>) {
  const stop = new AbortController();
  const events: string[] = [];
  const states: LiveState[] = [];
  const onUnauthorised = vi.fn();
  const finished = runStream({
    url: "/v1/stream",
    headers: { Authorization: "Bearer k" },
    signal: stop.signal,
    fetch,
    random: () => 1,
    onEvent: (e) => events.push(`${e.id}:${e.event}`),
    onState: (s) => {
      if (states.at(-1) !== s) states.push(s);
    },
    onUnauthorised,
    ...(wake ? { wake } : {}),
  });
  return { stop, events, states, onUnauthorised, finished };
}

/** Lets everything that waits for no timer happen. */
const settle = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("runStream", () => {
  it("sends the key as a header and resumes after the last id", async () => {
    const s = server(ended("id: 4\nevent: snapshot\ndata: {}\n\nid: 5\nevent: quote\ndata: {}\n\n"), open("id: 6\nevent: trade\ndata: {}\n\n"));
    const r = run(s.fetch);
    await settle();
    expect(r.events).toEqual(["4:snapshot", "5:quote"]);
    expect(r.states).toEqual(["connecting", "live", "reconnecting"]);
    await vi.advanceTimersByTimeAsync(FIRST_PAUSE_MS);
    expect(r.states.at(-1)).toBe("live");
    expect(r.events).toEqual(["4:snapshot", "5:quote", "6:trade"]);
    expect(s.requests.map((h) => [h.get("authorization"), h.get("last-event-id")])).toEqual([
      ["Bearer k", null],
      ["Bearer k", "5"],
    ]);
    r.stop.abort();
    await r.finished;
  });

  it("hands a decision over whole: what a cut left of it comes again, and is seen once", async () => {
    const trade = "event: trade\ndata: {}\n\n";
    const s = server(ended(`id: 4\nevent: snapshot\ndata: {}\n\n${trade}${trade}id: 5\nevent: qu`), open(`${trade}${trade}id: 5\nevent: quote\ndata: {}\n\n${trade}`));
    const r = run(s.fetch);
    await settle();
    expect(r.events).toEqual(["4:snapshot"]);
    await vi.advanceTimersByTimeAsync(FIRST_PAUSE_MS);
    expect(r.events).toEqual(["4:snapshot", "4:trade", "4:trade", "5:quote"]);
    expect(s.requests.map((h) => h.get("last-event-id"))).toEqual([null, "4"]);
    r.stop.abort();
    await r.finished;
  });

  it("takes silence for a broken line", async () => {
    const s = server(open("id: 1\nevent: heartbeat\ndata: {}\n\n"));
    const r = run(s.fetch);
    await settle();
    await vi.advanceTimersByTimeAsync(SILENCE_MS - 1);
    expect(r.states.at(-1)).toBe("live");
    await vi.advanceTimersByTimeAsync(1);
    expect(r.states.at(-1)).toBe("reconnecting");
    await vi.advanceTimersByTimeAsync(FIRST_PAUSE_MS);
    expect(s.requests).toHaveLength(2);
    r.stop.abort();
    await r.finished;
  });

  it("waits longer after each failure, and starts over once something came", async () => {
    const down = () => new TypeError("network");
    const s = server(down(), down(), down(), ended("data: x\n\n"), down());
    const r = run(s.fetch);
    const waits: number[] = [];
    for (let n = 1; n <= 5; n++) {
      await settle();
      expect(s.requests).toHaveLength(n);
      let waited = 0;
      while (s.requests.length === n) {
        await vi.advanceTimersByTimeAsync(FIRST_PAUSE_MS);
        waited += FIRST_PAUSE_MS;
      }
      waits.push(waited / FIRST_PAUSE_MS);
    }
    expect(waits).toEqual([1, 2, 4, 1, 2]);
    r.stop.abort();
    await r.finished;
  });

  it("stops when the key is refused", async () => {
    const s = server(new Response("", { status: 401 }));
    const r = run(s.fetch);
    await r.finished;
    expect(r.onUnauthorised).toHaveBeenCalledOnce();
    expect(s.requests).toHaveLength(1);
  });

  it("honours Retry-After, and starts afresh where the place to resume is refused", async () => {
    const s = server(
      ended("id: 9\ndata: x\n\n"),
      new Response("", { status: 429, headers: { "Retry-After": "7" } }),
      new Response("", { status: 400 }),
      open("id: 1\ndata: y\n\n"),
    );
    const r = run(s.fetch);
    await vi.advanceTimersByTimeAsync(FIRST_PAUSE_MS);
    expect(s.requests).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(6999);
    expect(s.requests).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1);
    await vi.advanceTimersByTimeAsync(LAST_PAUSE_MS);
    expect(s.requests.map((h) => h.get("last-event-id"))).toEqual([null, "9", "9", null]);
    r.stop.abort();
    await r.finished;
  });

  it("tries at once when it is woken", async () => {
    let wake = () => {};
    const s = server(new TypeError("offline"));
    const r = run(s.fetch, () => new Promise((resolve) => (wake = resolve)));
    await settle();
    expect(s.requests).toHaveLength(1);
    wake();
    await settle();
    expect(s.requests).toHaveLength(2);
    r.stop.abort();
    await r.finished;
  });

  it("ends in silence when it is stopped in a pause", async () => {
    const s = server(new TypeError("offline"));
    const r = run(s.fetch);
    await settle();
    r.stop.abort();
    await r.finished;
    expect(s.requests).toHaveLength(1);
  });
});

it("the pause is bounded and never below half", () => {
  expect(pauseMs(0, () => 0)).toBe(FIRST_PAUSE_MS / 2);
  expect(pauseMs(50, () => 1)).toBe(LAST_PAUSE_MS);
});
