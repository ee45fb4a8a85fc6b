import { describe, expect, it } from "vitest";
import { MAX_EVENT, SseParser } from "./sse";

const all = (text: string) => new SseParser().feed(text);

describe("SseParser", () => {
  it("reads an event with id, name and data", () => {
    expect(all('id: 7\nevent: quote\ndata: {"seq":7}\n\n')).toEqual([{ event: "quote", data: '{"seq":7}', id: "7", last: true }]);
  });

  it("joins data lines, strips one space, ignores comments and unknown fields", () => {
    expect(all(": hello\nretry: 5\ndata:a\ndata:  b\ndata\n\n")).toEqual([{ event: "message", data: "a\n b\n", id: "", last: false }]);
  });

  it("gives nothing for an event without data, but keeps its id", () => {
    const p = new SseParser();
    expect(p.feed("id: 9\nevent: quote\n\n")).toEqual([]);
    expect(p.lastId).toBe("9");
    expect(p.feed("data: x\n\n")).toEqual([{ event: "message", data: "x", id: "9", last: false }]);
  });

  it("ignores an id with NUL and drops a byte order mark", () => {
    expect(all("\uFEFFid: a\0b\ndata: x\n\n")).toEqual([{ event: "message", data: "x", id: "", last: false }]);
  });

  it("drops an event that the end of the stream cut off", () => {
    expect(all("data: x\n\ndata: half")).toHaveLength(1);
  });

  const stream = "id: 1\r\nevent: trade\r\ndata: é1\r\ndata: 2\r\n\r\n:c\r\rdata: cr\r\r\ndata: lf\n\nid: 2\ndata: end\r\n\n";
  const whole = all(stream);

  it("reads CR LF, CR and LF", () => {
    expect(whole).toEqual([
      { event: "trade", data: "é1\n2", id: "1", last: true },
      { event: "message", data: "cr", id: "1", last: false },
      { event: "message", data: "lf", id: "1", last: false },
      { event: "message", data: "end", id: "2", last: true },
    ]);
  });

  it("reads the same whatever the pieces", () => {
    for (let size = 1; size <= stream.length; size++) {
      const p = new SseParser();
      const events = [];
      for (let i = 0; i < stream.length; i += size) events.push(...p.feed(stream.slice(i, i + size)));
      expect(events, `pieces of ${size}`).toEqual(whole);
    }
    for (let cut = 0; cut <= stream.length; cut++) {
      const p = new SseParser();
      expect([...p.feed(stream.slice(0, cut)), ...p.feed(""), ...p.feed(stream.slice(cut))], `cut at ${cut}`).toEqual(whole);
    }
  });

  it("refuses an event without end", () => {
    const p = new SseParser();
    expect(() => {
      for (let i = 0; i <= MAX_EVENT; i += 1 << 16) p.feed("x".repeat(1 << 16));
    }).toThrow(/too long/);
    const q = new SseParser();
    expect(() => {
      for (let i = 0; i <= MAX_EVENT; i += 1 << 16) q.feed(`data: ${"x".repeat(1 << 16)}\n`);
    }).toThrow(/too long/);
  });
});
