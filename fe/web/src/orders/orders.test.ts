import { describe, expect, it, vi } from "vitest";
import { NoAnswer, Problem, type Api } from "../api/api";
import { PAUSES_MS } from "../api/submit";
import { translator } from "../i18n/i18n";
import type { OpenOrder } from "../model/model";
import { cup, sample } from "../model/samples";
import { Cancels } from "./cancels";
import { cancelWords, inView, orderLine, several } from "./line";

const order = (id: string, over: Partial<OpenOrder> = {}): OpenOrder => ({
  order: id, market: "mkt_1", outcome: "YES", side: "buy", tif: "gtc", limit_price_micros: 400_000, shares_micros: 25_000_000, filled_micros: 0, expires_at: null, ...over,
});

describe("Cancels", () => {
  function setUp() {
    const post = vi.fn(async (_path: string, _body: object, _key: string) => ({ seq: 9 }));
    const onDecided = vi.fn();
    const onUnauthorised = vi.fn();
    let keys = 0;
    let api: Api | null = { post } as unknown as Api;
    const cancels = new Cancels({
      api: () => api, newKey: () => `key-${++keys}`, sleep: () => Promise.resolve(), onChange: () => {}, onDecided, onUnauthorised,
    });
    return { cancels, post, onDecided, onUnauthorised, signOut: () => (api = null) };
  }

  it("takes the order out, and says after which decision", async () => {
    const { cancels, post, onDecided } = setUp();
    const sent = cancels.cancel("ord_5");
    expect(cancels.sending("ord_5")).toBe(true);
    expect(cancels.sending("ord_6")).toBe(false);
    await sent;
    expect(post).toHaveBeenCalledWith("/v1/orders/ord_5/cancel", {}, "key-1", expect.anything());
    expect(cancels.sending("ord_5")).toBe(false);
    expect(cancels.last).toEqual({ kind: "done", all: false });
    expect(onDecided).toHaveBeenCalledWith(9);
  });

  it("takes all orders of a market out in one decision", async () => {
    const { cancels, post, onDecided } = setUp();
    const sent = cancels.cancelAll("mkt_1");
    expect(cancels.sending("mkt_1")).toBe(true);
    await Promise.all([sent, cancels.cancelAll("mkt_1")]);
    expect(post.mock.calls.map(([path, body, key]) => [path, body, key])).toEqual([["/v1/orders/cancel-all", { market: "mkt_1" }, "key-1"]]);
    expect(cancels.sending("mkt_1")).toBe(false);
    expect(cancels.last).toEqual({ kind: "done", all: true });
    expect(onDecided).toHaveBeenCalledWith(9);
  });

  it("all orders whose fate is open are asked for again with one key", async () => {
    const { cancels, post } = setUp();
    post.mockRejectedValue(new NoAnswer());
    await cancels.cancelAll("mkt_1");
    expect(cancels.last).toEqual({ kind: "unknown", all: true });
    post.mockResolvedValue({ seq: 9 });
    await cancels.cancelAll("mkt_1");
    await cancels.cancelAll("mkt_1");
    const keys = post.mock.calls.map(([, , key]) => key);
    expect(keys.slice(0, -1)).toEqual(Array.from({ length: PAUSES_MS.length + 2 }, () => "key-1"));
    expect(keys.at(-1), "what is decided is not repeated").toBe("key-2");
  });

  it("a market in which nothing waits any more makes the list be read again", async () => {
    const { cancels, post, onDecided } = setUp();
    post.mockRejectedValue(new Problem(404, "order_not_found", 0));
    await cancels.cancelAll("mkt_1");
    expect(cancels.last).toEqual({ kind: "problem", code: "order_not_found", retry: 0 });
    expect(onDecided).toHaveBeenCalledWith(0);
  });

  it("two presses are one cancellation; two orders are two", async () => {
    const { cancels, post } = setUp();
    await Promise.all([cancels.cancel("ord_5"), cancels.cancel("ord_5"), cancels.cancel("ord_6")]);
    expect(post.mock.calls.map(([path, , key]) => [path, key])).toEqual([["/v1/orders/ord_5/cancel", "key-1"], ["/v1/orders/ord_6/cancel", "key-2"]]);
  });

  it("one whose fate is open is repeated with its key, however often", async () => {
    const { cancels, post } = setUp();
    post.mockRejectedValue(new NoAnswer());
    await cancels.cancel("ord_5");
    expect(cancels.last).toEqual({ kind: "unknown", all: false });
    post.mockResolvedValue({ seq: 9 });
    await cancels.cancel("ord_5");
    expect(post.mock.calls.map(([, , key]) => key)).toEqual(Array.from({ length: PAUSES_MS.length + 2 }, () => "key-1"));
    expect(cancels.last).toEqual({ kind: "done", all: false });
  });

  it("an order that is gone already makes the list be read again", async () => {
    const { cancels, post, onDecided } = setUp();
    post.mockRejectedValue(new Problem(404, "order_not_found", 0));
    await cancels.cancel("ord_5");
    expect(cancels.last).toEqual({ kind: "problem", code: "order_not_found", retry: 0 });
    expect(onDecided).toHaveBeenCalledWith(0);
  });

  it("another refusal leaves the list, and the next press is a new request", async () => {
    const { cancels, post, onDecided } = setUp();
    post.mockRejectedValueOnce(new Problem(403, "forbidden", 0));
    await cancels.cancel("ord_5");
    expect(onDecided).not.toHaveBeenCalled();
    await cancels.cancel("ord_5");
    expect(post.mock.calls.map(([, , key]) => key)).toEqual(["key-1", "key-2"]);
  });

  it("says nothing to the one who signed in after", async () => {
    const { cancels, onDecided, signOut } = setUp();
    const sent = cancels.cancel("ord_5");
    signOut();
    cancels.reset();
    await sent;
    expect(cancels.last).toBeNull();
    expect(onDecided).not.toHaveBeenCalled();
  });

  it("a key that is refused signs out", async () => {
    const { cancels, post, onUnauthorised } = setUp();
    post.mockRejectedValue(new Problem(401, "unauthenticated", 0));
    await cancels.cancel("ord_5");
    expect(onUnauthorised).toHaveBeenCalledOnce();
  });
});

describe("lines", () => {
  const t = translator("pt");

  it("the chosen market's orders come first, then the newest", () => {
    const all = [order("ord_1"), order("ord_2", { market: "mkt_2" }), order("ord_3"), order("ord_4", { market: "mkt_2" })];
    expect(inView(all, "mkt_2").map((o) => o.order)).toEqual(["ord_4", "ord_2", "ord_3", "ord_1"]);
    expect(inView(all, null).map((o) => o.order)).toEqual(["ord_4", "ord_3", "ord_2", "ord_1"]);
  });

  it("several orders of the chosen market can be cancelled at once", () => {
    const all = [order("ord_1"), order("ord_2", { market: "mkt_2" }), order("ord_3")];
    expect(several(all, "mkt_1")).toBe(true);
    expect(several(all, "mkt_2"), "one has a button of its own").toBe(false);
    expect(several(all, null)).toBe(false);
  });

  it("say what is wanted, at which price, and what is left", () => {
    const markets = new Map([["mkt_1", sample({ title: "Chove?" })], ["mkt_2", cup({ market: "mkt_2" })]]);
    expect(orderLine(order("ord_1"), markets, "pt", t)).toEqual({
      title: "Chove?", what: "Comprar Sim", price: "0,40", waits: "25,00", more: "", cancel: "Cancelar: Comprar Sim a 0,40",
    });
    const part = order("ord_2", { market: "mkt_2", outcome: "O2", side: "sell", limit_price_micros: 123_456, filled_micros: 5_000_000, expires_at: "2026-01-01T12:00:00.000000Z" });
    const line = orderLine(part, markets, "pt", t);
    expect(line).toMatchObject({ what: "Vender Blue", price: "0,123456" });
    expect(line.more).toMatch(/^5,00 executadas · até .*2026/);
    expect(orderLine(order("ord_3", { market: "mkt_9" }), markets, "pt", t).title, "a market that is not known has its id").toBe("mkt_9");
  });

  it("say how a cancellation went", () => {
    expect(cancelWords(null, t)).toBe("");
    const words = [
      cancelWords({ kind: "sending" }, t),
      ...([true, false].flatMap((all) => (["done", "unknown"] as const).map((kind) => cancelWords({ kind, all }, t)))),
    ];
    expect(words).not.toContain("");
    expect(new Set(words).size, "one is told from all").toBe(words.length);
    expect(cancelWords({ kind: "problem", code: "order_not_found", retry: 0 }, t)).toBe("Não há tal ordem aberta.");
  });
});
