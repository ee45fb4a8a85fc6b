import { describe, expect, it, vi } from "vitest";
import { text } from "../model/decode";
import { Api, NoAnswer, Problem } from "./api";
import { newKey, OutcomeUnknown, PAUSES_MS, undecided, untilDecided } from "./submit";

const json = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": status < 400 ? "application/json" : "application/problem+json", ...headers } });

function api(answer: () => Promise<Response>) {
  const fetch = vi.fn((_url: string, _init: RequestInit) => answer());
  return { api: new Api("csrf-1", fetch as unknown as typeof globalThis.fetch), fetch };
}

describe("Api", () => {
  it("sends the cookie to this origin, and the token in the header alone", async () => {
    const { api: a, fetch } = api(async () => json(201, "done"));
    expect(await a.post("/v1/orders", { amount_micros: 10 }, "k-1", text)).toBe("done");
    const [url, init] = fetch.mock.calls[0] ?? ["", {}];
    expect(url).toBe("/v1/orders");
    expect(init).toMatchObject({ method: "POST", body: '{"amount_micros":10}', credentials: "same-origin", redirect: "error" });
    expect(init.headers).toMatchObject({ "X-CSRF-Token": "csrf-1", "Idempotency-Key": "k-1" });
  });

  it("turns problem documents into their code", async () => {
    const { api: a } = api(async () => json(429, { code: "rate_limited" }, { "Retry-After": "3" }));
    await expect(a.get("/v1/me", text)).rejects.toMatchObject({ status: 429, code: "rate_limited", retryAfterSeconds: 3 });
  });

  it.each([
    ["HTML of a proxy", new Response("<h1>Bad gateway</h1>", { status: 502, headers: { "Content-Type": "text/html" } })],
    ["a code that is none", json(400, { code: "<script>" })],
    ["no code", json(500, {})],
  ])("calls it unknown: %s", async (_, answer) => {
    const { api: a } = api(async () => answer);
    await expect(a.get("/v1/me", text)).rejects.toMatchObject({ code: "unknown", status: answer.status });
  });

  it("tells no answer from an abort that was asked for", async () => {
    const { api: a } = api(async () => Promise.reject(new TypeError("Failed to fetch")));
    await expect(a.get("/v1/me", text)).rejects.toBeInstanceOf(NoAnswer);
    const stop = AbortSignal.abort(new DOMException("x", "AbortError"));
    await expect(a.get("/v1/me", text, stop)).rejects.not.toBeInstanceOf(NoAnswer);
  });

  it("takes a body that broke off for no answer", async () => {
    const { api: a } = api(async () => new Response('{"seq":', { status: 200 }));
    await expect(a.get("/v1/me", text)).rejects.toBeInstanceOf(NoAnswer);
  });
});

describe("untilDecided", () => {
  const noSleep = () => Promise.resolve();

  it.each([
    [new NoAnswer(), true],
    [new Problem(500, "unknown", 0), true],
    [new Problem(503, "not_leader", 0), true],
    [new Problem(429, "overloaded", 1), true],
    [new Problem(429, "too_many_requests", 1), true],
    [new Problem(429, "rate_limited", 1), false],
    [new Problem(422, "insufficient_funds", 0), false],
    [new Problem(409, "idempotency_conflict", 0), false],
    [new Error("a fault of ours"), false],
  ])("%s leaves the fate open: %s", (err, open) => {
    expect(undecided(err)).toBe(open);
  });

  it("repeats until it is decided", async () => {
    const attempt = vi.fn().mockRejectedValueOnce(new NoAnswer()).mockRejectedValueOnce(new Problem(503, "failed", 0)).mockResolvedValue("done");
    expect(await untilDecided(attempt, noSleep)).toBe("done");
    expect(attempt).toHaveBeenCalledTimes(3);
  });

  it("does not repeat a rejection", async () => {
    const attempt = vi.fn().mockRejectedValue(new Problem(422, "too_small", 0));
    await expect(untilDecided(attempt, noSleep)).rejects.toMatchObject({ code: "too_small" });
    expect(attempt).toHaveBeenCalledOnce();
  });

  it("gives up after a bounded number of tries and says that the fate is open", async () => {
    const slept: number[] = [];
    const attempt = vi.fn().mockRejectedValue(new Problem(429, "overloaded", 1));
    await expect(untilDecided(attempt, async (ms) => void slept.push(ms))).rejects.toBeInstanceOf(OutcomeUnknown);
    expect(attempt).toHaveBeenCalledTimes(PAUSES_MS.length + 1);
    expect(slept).toEqual([1000, 1000, 1500, 2500, 3000]);
  });
});

it("makes version 4 UUIDs with and without randomUUID", () => {
  const v4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  expect(newKey(crypto)).toMatch(v4);
  const insecure = { getRandomValues: (b: Uint8Array<ArrayBuffer>) => crypto.getRandomValues(b) } as Crypto;
  expect(newKey(insecure)).toMatch(v4);
  expect(newKey(insecure)).not.toBe(newKey(insecure));
});
