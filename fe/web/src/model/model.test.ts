import { describe, expect, it } from "vitest";
import { DecodeError } from "./decode";
import { fold, NOTHING, ordered, TRADES_KEPT, TRAIL_POINTS } from "./live";
import { account, book, leading, market, me, openOrders, placed, ranked, streamEvent, type Market, type StreamEvent } from "./model";
import { cup, degrees, outcomeState, sample, yesNo } from "./samples";

const m1 = sample({ outcomes: yesNo(500_000, { depth_micros: 1_000_000 }), volume_micros: 10_000_000, trades: 3 });

const snapshot = (seq: number, ...markets: Market[]): StreamEvent => ({ kind: "snapshot", body: { seq, markets } });
const trade = (seq: number, amount = 1_000_000): StreamEvent => ({
  kind: "trade",
  body: {
    seq,
    market: "mkt_1",
    outcome: "YES",
    side: "buy",
    amount_micros: amount,
    shares_micros: 2 * amount,
    average_price_micros: 500_000,
    decided_at: "2026-01-01T00:00:00.000000Z",
  },
});
const quote = (seq: number, yes: number, ms = seq * 1000): StreamEvent => ({
  kind: "quote",
  body: {
    seq,
    market: "mkt_1",
    outcomes: yesNo(yes, { depth_micros: 7 }),
    decided_at: new Date(ms).toISOString(),
  },
});

describe("decode", () => {
  it("takes what it needs and drops the rest", () => {
    expect(market({ ...m1, newer: true }, "m")).toEqual(m1);
    expect(market({ ...m1, close_at: undefined, outcome: "" }, "m").outcome).toBeNull();
    expect(market({ ...m1, ending: "", proposal: undefined }, "m")).toEqual(m1);
    expect(market(degrees(), "m")).toEqual(degrees());
    expect(market(cup(), "m")).toEqual(cup());
  });

  it.each([
    ["a missing member", { ...m1, title: undefined }, "m.title"],
    ["a fraction", { ...m1, outcomes: [outcomeState("YES", 0.5)] }, "m.outcomes[0].price_micros"],
    ["text for a number", { ...m1, trades: "3" }, "m.trades"],
    ["an outcome that cannot be", { ...m1, outcomes: [outcomeState("O65", 1)] }, "m.outcomes[0].outcome"],
    ["an unknown kind", { ...m1, kind: "poll" }, "m.kind"],
    ["a proposal without its end", { ...m1, proposal: { outcome: "YES", proposed_at: "2026-01-01T11:00:00.000000Z", approvals: 1, approvals_needed: 2 } }, "m.proposal.final_at"],
    ["an unknown state", { ...m1, state: "shut" }, "m.state"],
    ["a list", [], "m is not an object"],
  ])("refuses %s and says where", (_, value, where) => {
    expect(() => market(value, "m")).toThrow(DecodeError);
    expect(() => market(value, "m")).toThrow(where);
  });

  it("a key without account has none", () => {
    expect(me({ seq: 1, principal: "key_1", roles: ["auditor"] }, "me").account).toBeNull();
  });

  it("names the position at fault", () => {
    expect(() => account({ seq: 1, account: "acc_1", available_micros: 1, reserved_micros: 0, positions: [{ market: "mkt_1" }] }, "a")).toThrow("a.positions[0].outcome");
  });

  const filled = {
    type: "order_filled", order: "ord_9", account: "acc_1", market: "mkt_1", outcome: "NO", side: "buy", amount_micros: 5,
    shares_micros: 9, fee_micros: 2, average_price_micros: 555_556, price_before_micros: 1, price_after_micros: 2,
  };
  const rested = { type: "order_rested", order: "ord_9", account: "acc_1", market: "mkt_1", outcome: "NO", side: "buy", tif: "gtc", limit_price_micros: 400_000, shares_micros: 7 };

  it("finds what became of an order among the events of a decision", () => {
    const of = (...events: object[]) => placed({ seq: 9, code: "ok", events: [{ type: "other" }, ...events] }, "d");
    expect(of(filled)).toMatchObject({ seq: 9, fill: { order: "ord_9", shares_micros: 9, fee_micros: 2, stopped_by_own_order: null }, rest: null });
    expect(of(rested)).toMatchObject({ fill: null, rest: { limit_price_micros: 400_000, shares_micros: 7 } });
    expect(of({ ...filled, stopped_by_own_order: true }, rested)).toMatchObject({ fill: { stopped_by_own_order: true }, rest: { shares_micros: 7 } });
    expect(() => of()).toThrow(DecodeError);
    expect(() => of({ ...rested, shares_micros: "7" })).toThrow("d.events[1].shares_micros");
  });

  it("reads what waits in a book and of an account", () => {
    const levels = { bids: [{ price_micros: 400_000, shares_micros: 7, orders: 2 }], asks: [] };
    expect(book({ seq: 1, market: "mkt_1", outcome: "YES", ...levels }, "b")).toMatchObject(levels);
    const order = { order: "ord_9.2", market: "mkt_1", outcome: "NO", side: "sell", tif: "gtc", limit_price_micros: 1, shares_micros: 2, filled_micros: 0 };
    expect(openOrders({ seq: 1, account: "acc_1", orders: [{ ...order, account: "acc_1" }] }, "o").orders).toEqual([{ ...order, expires_at: null }]);
    expect(() => openOrders({ seq: 1, orders: [{ ...order, order: "../x" }] }, "o")).toThrow("o.orders[0].order");
  });

  it("reads events of the stream, and nothing into what it does not know", () => {
    expect(streamEvent("snapshot", JSON.stringify({ seq: 2, markets: [m1] }))).toEqual(snapshot(2, m1));
    expect(streamEvent("heartbeat", '{"seq":3}')).toBeNull();
    expect(streamEvent("newer", "not even JSON")).toBeNull();
    expect(() => streamEvent("quote", "{}")).toThrow(DecodeError);
    expect(() => streamEvent("quote", "{")).toThrow(SyntaxError);
  });
});

describe("fold", () => {
  const start = fold(NOTHING, [snapshot(10, m1)], 0);

  it("a quote moves the price, a trade the volume", () => {
    const next = fold(start, [quote(11, 600_000), trade(11, 2_000_000)], 0);
    expect(next.markets.get("mkt_1")).toEqual({
      ...m1, outcomes: yesNo(600_000, { depth_micros: 7 }), volume_micros: 12_000_000, trades: 4,
    });
    expect(start.markets.get("mkt_1"), "the state before is untouched").toEqual(m1);
  });

  it("what the snapshot holds already is listed, not counted twice", () => {
    const next = fold(start, [trade(9), quote(10, 900_000), { kind: "market", body: { ...m1, seq: 8, state: "paused" } }], 0);
    expect(next.markets.get("mkt_1")).toEqual(m1);
    expect(next.trades.get("mkt_1")).toHaveLength(1);
  });

  it("a market event opens and changes markets", () => {
    const next = fold(start, [
      { kind: "market", body: { ...m1, seq: 11, market: "mkt_2" } },
      { kind: "market", body: { ...m1, seq: 12, state: "resolved", outcome: "YES" } },
    ], 0);
    expect(ordered(next.markets).map((m) => [m.market, m.state])).toEqual([["mkt_2", "open"], ["mkt_1", "resolved"]]);
    expect(next.markets.get("mkt_1")).not.toHaveProperty("seq");
  });

  it("keeps the newest trades and a bounded trail", () => {
    const many = Array.from({ length: 500 }, (_, i) => [trade(11 + i), quote(11 + i, 1000 + i)]).flat();
    const next = fold(start, many, 0);
    expect(next.trades.get("mkt_1")?.map((t) => t.seq)).toEqual(Array.from({ length: TRADES_KEPT }, (_, i) => 510 - i));
    const trail = next.trails.get("mkt_1") ?? [];
    expect(trail).toHaveLength(TRAIL_POINTS);
    expect(trail.at(-1)?.prices).toEqual([1499, 998_501]);
  });

  it("a burst within a second is one point, at its end", () => {
    const next = fold(start, [quote(11, 1000, 5000), quote(12, 2000, 5100), quote(13, 3000, 5200), quote(14, 4000, 5300)], 0);
    expect(next.trails.get("mkt_1")?.map((p) => p.prices[0])).toEqual([500_000, 1000, 4000]);
  });

  it("orders by number, not by text", () => {
    const next = fold(NOTHING, [snapshot(1, { ...m1, market: "mkt_10" }, { ...m1, market: "mkt_9" })], 0);
    expect(ordered(next.markets).map((m) => m.market)).toEqual(["mkt_9", "mkt_10"]);
  });
});

describe("ranked and leading", () => {
  it("a categorical market is led by its dearest outcome", () => {
    expect(ranked(cup()).map((o) => o.outcome)).toEqual(["O2", "O3", "O1"]);
    expect(leading(cup())?.outcome).toBe("O2");
  });

  it("equal prices stay in the market's order", () => {
    const even = cup({ outcomes: ["O1", "O2", "O3"].map((o) => outcomeState(o, 333_333)) });
    expect(ranked(even).map((o) => o.outcome)).toEqual(["O1", "O2", "O3"]);
    expect(leading(even)?.outcome).toBe("O1");
  });

  it("others keep their order and their first outcome", () => {
    const unlikely = sample({ outcomes: yesNo(100_000) });
    expect(ranked(unlikely).map((o) => o.outcome)).toEqual(["YES", "NO"]);
    expect(leading(unlikely)?.outcome).toBe("YES");
    expect(leading(degrees())?.outcome).toBe("LONG");
    expect(leading(sample({ outcomes: [] }))).toBeUndefined();
  });
});
