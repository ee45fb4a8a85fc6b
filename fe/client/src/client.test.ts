import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { Client, Problem, waitMs, DEFAULT_RETRY } from "./index.js";

/** What a server was asked. */
interface Asked {
  readonly line: string;
  readonly body: string;
  readonly headers: IncomingMessage["headers"];
}

const open: Server[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** A real server on a free port, which answers by the number of the request. */
async function desk(answer: (n: number, res: ServerResponse) => void): Promise<{ asked: Asked[]; url: string }> {
  const asked: Asked[] = [];
  const server = createServer((req, res) => {
    let body = "";
    req.on("data", (chunk: Buffer) => (body += chunk.toString()));
    req.on("end", () => {
      asked.push({ line: `${req.method} ${req.url}`, body, headers: req.headers });
      answer(asked.length - 1, res);
    });
  });
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const quick = { attempts: 5, baseMs: 1, maxMs: 5000, limited: true };
const ok = (res: ServerResponse) => res.writeHead(201, { "Content-Type": "application/json" }).end('{"seq":9}');
const refuse = (res: ServerResponse, status: number, body: object, headers = {}) =>
  res.writeHead(status, { "Content-Type": "application/problem+json", ...headers }).end(JSON.stringify({ status, ...body }));

describe("a call", () => {
  it("is where the contract says, with what it takes", async () => {
    const { asked, url } = await desk((_, res) => ok(res));
    const client = new Client({ url: `${url}/`, key: "mbp_x" });
    await client.call("getBook", { path: { market: "mkt_2" }, query: { outcome: "NO", depth: 5 } });
    await client.call("openAccount", { body: {} });
    await client.call("placeOrder", { body: { market: "mkt_1", outcome: "YES", side: "buy", tif: "ioc", amount_micros: 7 } }, { key: "mine" });
    expect(asked.map((a) => a.line)).toEqual(["GET /v1/markets/mkt_2/book?outcome=NO&depth=5", "POST /v1/accounts", "POST /v1/orders"]);
    expect(asked.map((a) => a.headers.authorization)).toEqual(Array(3).fill("Bearer mbp_x"));
    expect(asked[0]?.headers["idempotency-key"]).toBeUndefined();
    expect(asked[1]?.headers["idempotency-key"]).toMatch(/^[0-9a-f-]{36}$/);
    expect(asked[2]?.headers["idempotency-key"]).toBe("mine");
    expect(asked[2]?.body).toBe('{"market":"mkt_1","outcome":"YES","side":"buy","tif":"ioc","amount_micros":7}');
  });

  it("is repeated with the same key until it is answered", async () => {
    const { asked, url } = await desk((n, res) => {
      if (n === 0) res.destroy();
      else if (n === 1) refuse(res, 503, { code: "failed" });
      else if (n === 2) res.writeHead(502).end("<html>");
      else ok(res);
    });
    expect(await new Client({ url, key: "", retry: quick }).call("openAccount", { body: {} })).toEqual({ seq: 9 });
    expect(asked).toHaveLength(4);
    expect(new Set(asked.map((a) => a.headers["idempotency-key"])).size).toBe(1);
  });

  it("takes another key after a decision about its haste, which would be replayed", async () => {
    const { asked, url } = await desk((n, res) => {
      if (n < 2) refuse(res, 429, { code: "rate_limited", seq: 7, instance: "/v1/decisions/7" }, { "Idempotency-Replayed": "true" });
      else ok(res);
    });
    const long = "k".repeat(64);
    await new Client({ url, key: "", retry: quick }).call("openAccount", { body: {} }, { key: long });
    const keys = asked.map((a) => String(a.headers["idempotency-key"]));
    expect(keys[0]).toBe(long);
    expect(new Set(keys).size).toBe(3);
    expect(keys.every((k) => k.length === 64)).toBe(true);
  });

  it("is not repeated after a refusal that stays one", async () => {
    const { asked, url } = await desk((_, res) => refuse(res, 422, { code: "price_limit", detail: "too dear", seq: 3, instance: "/v1/decisions/3" }));
    const err: unknown = await new Client({ url, key: "mbp_secret", retry: quick }).call("openAccount", { body: {} }).catch((e: unknown) => e);
    expect(err).toBeInstanceOf(Problem);
    expect(err).toMatchObject({ status: 422, code: "price_limit", detail: "too dear", seq: 3, decided: true, message: "price_limit: too dear (status 422)" });
    expect(JSON.stringify(err)).not.toContain("secret");
    expect(asked).toHaveLength(1);
  });

  it("follows no redirect and hides the secret", async () => {
    const { asked, url } = await desk((_, res) => res.writeHead(307, { Location: "http://example.com/" }).end());
    const client = new Client({ url, key: "mbp_secret" });
    await expect(client.call("me", {})).rejects.toThrow("http_307");
    expect(asked).toHaveLength(1);
    expect(JSON.stringify(client)).not.toContain("secret");
  });

  it("refuses addresses that are none", () => {
    for (const url of ["ftp://x", "http://a:b@x", "http://x/?q", "http://x/#y", "x"]) expect(() => new Client({ url, key: "" })).toThrow(TypeError);
  });
});

describe("the wait before a repetition", () => {
  const problem = (status: number, retryAfterMs = 0, replayed = false) => new Problem(status, "overloaded", "", 0, "", retryAfterMs, replayed);
  it("is as the server asks, within the bound, and grows without it", () => {
    expect(waitMs(DEFAULT_RETRY, 1, problem(429, 3000))).toBe(3000);
    expect(waitMs(DEFAULT_RETRY, 1, problem(503, 60_000))).toBeUndefined();
    expect(waitMs({ ...DEFAULT_RETRY, limited: false }, 1, problem(429))).toBeUndefined();
    expect(waitMs(DEFAULT_RETRY, 1, problem(429, 3000, true))).toBe(0);
    expect(waitMs(DEFAULT_RETRY, 5, new Error("broken"))).toBeUndefined();
    expect(waitMs(DEFAULT_RETRY, 1, problem(500))).toBeUndefined();
    const third = waitMs(DEFAULT_RETRY, 3, new Error("broken")) ?? 0;
    expect(third).toBeGreaterThanOrEqual(200);
    expect(third).toBeLessThanOrEqual(400);
  });
});

describe("the stream", () => {
  const event = (kind: string, seq: number) => `event: ${kind}\nid: ${seq}\ndata: {"seq":${seq}}\n\n`;

  it("goes on from the last event when the line breaks, wherever it breaks", async () => {
    const trade = 'event: trade\ndata: {"seq":6}\n\n'; // not the last one of its decision
    const { asked, url } = await desk((n, res) => {
      res.writeHead(200, { "Content-Type": "text/event-stream" });
      if (n === 0) res.write(`: hello\n${event("snapshot", 4)}${event("quote", 5)}${trade}event: quote\nid: 6\nda`, () => res.destroy());
      else if (n === 1) res.end(trade + 'event: quote\r\nid: 6\r\ndata: {"seq":6,\r\ndata: "market":"mkt_1"}\r\n\r\n');
      else res.write(event("heartbeat", 7));
    });
    const end = new AbortController();
    const seen: string[] = [];
    for await (const e of new Client({ url, key: "mbp_x", retry: quick }).stream(0, end.signal)) {
      seen.push(`${e.kind} ${e.data.seq}`);
      if (e.kind === "heartbeat") end.abort();
    }
    expect(seen).toEqual(["snapshot 4", "quote 5", "trade 6", "quote 6", "heartbeat 7"]);
    expect(asked.map((a) => a.headers["last-event-id"])).toEqual([undefined, "5", "6"]);
  });

  it("follows a market, and an account with its own kinds of events", async () => {
    const { asked, url } = await desk((n, res) => {
      res.writeHead(200, { "Content-Type": "text/event-stream" });
      if (n === 0) res.end(`event: gap\ndata: {"after":3,"seq":9}\n\n${event("snapshot", 9)}`);
      else res.end(`event: fill\ndata: {"seq":12,"role":"maker","shares_micros":5}\n\n${event("account", 12)}`);
    });
    const client = new Client({ url, key: "mbp_x", retry: quick });
    const seen: string[] = [];
    for await (const e of client.streamMarket("mkt_7", 3)) {
      seen.push(e.kind === "gap" ? `gap ${e.data.after}..${e.data.seq} at ${e.seq}` : e.kind);
      if (e.kind === "snapshot") break;
    }
    for await (const e of client.streamAccount("acc_2", 11)) {
      seen.push(e.kind === "fill" ? `fill ${e.data.role}` : `${e.kind} ${e.seq}`);
      if (e.kind === "account") break;
    }
    expect(seen).toEqual(["gap 3..9 at 3", "snapshot", "fill maker", "account 12"]);
    expect(asked.map((a) => [a.line, a.headers["last-event-id"]])).toEqual([
      ["GET /v1/markets/mkt_7/stream", "3"],
      ["GET /v1/accounts/acc_2/stream", "11"],
    ]);
  });

  it("gives up where the server refuses for good", async () => {
    const { asked, url } = await desk((_, res) => refuse(res, 401, { code: "unauthenticated" }));
    const all = new Client({ url, key: "", retry: quick }).stream();
    await expect(all.next()).rejects.toMatchObject({ code: "unauthenticated" });
    expect(asked).toHaveLength(1);
  });
});
