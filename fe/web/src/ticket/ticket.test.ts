import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { NoAnswer, Problem, type Api } from "../api/api";
import { PAUSES_MS } from "../api/submit";
import type { Account, Fill, Placed, Quote, Rest } from "../model/model";
import { Desk, EMPTY, REQUOTE_MS, TYPING_MS } from "./desk";
import { isPartial, limitPrice, orderBody, quotePath, read, shortOf, type Form, type Terms } from "./order";

const form: Form = { ...EMPTY, market: "mkt_1", amount: "10" };
const own: Form = { ...form, kind: "limit", limit: "0.4" };
const terms = (micros: number, limit: number | null = null, expires: string | null = null): Terms => ({ ok: true, micros, limit, expires });
const NOW = Date.parse("2026-01-01T12:00:00Z");
const quote: Quote = {
  seq: 5, market: "mkt_1", outcome: "YES", side: "buy", amount_micros: 10_000_000, shares_micros: 18_181_818,
  fee_micros: 0, average_price_micros: 550_000, price_before_micros: 500_000, price_after_micros: 600_000, rests_micros: 0, code: "ok",
};
const fill: Fill = {
  order: "ord_6", market: "mkt_1", outcome: "YES", side: "buy", amount_micros: 10_000_000, shares_micros: 18_181_818,
  fee_micros: 0, average_price_micros: 550_000, price_after_micros: 600_000, stopped_by_own_order: null,
};
const done: Placed = { seq: 6, fill, rest: null };
const rest: Rest = { order: "ord_6", market: "mkt_1", outcome: "YES", side: "buy", limit_price_micros: 400_000, shares_micros: 25_000_000 };

const account: Account = {
  seq: 1, account: "acc_1", available_micros: 10_000_000, reserved_micros: 0, limited_until: null, positions: [{ market: "mkt_1", outcome: "YES", shares_micros: 5_000_000, reserved_micros: null }],
};

describe("order", () => {
  it("reads amount and limit", () => {
    expect(read(form, "en", NOW)).toEqual(terms(10_000_000));
    expect(read({ ...own, limit: "0,62" }, "pt", NOW)).toEqual(terms(10_000_000, 620_000));
    expect(read({ ...form, limit: "0.62" }, "en", NOW), "a market order has none").toEqual(terms(10_000_000));
  });

  it("reads the end in the reader's zone", () => {
    const till = { ...own, tif: "gtd", expires: "2026-06-01T08:30" } as const;
    expect(read(till, "en", NOW)).toEqual(terms(10_000_000, 400_000, new Date(2026, 5, 1, 8, 30).toISOString()));
    expect(read({ ...till, tif: "gtc" }, "en", NOW), "without a date it has none").toEqual(terms(10_000_000, 400_000));
  });

  it.each([
    [{ amount: "" }, "amount", "input.empty"],
    [{ amount: "ten" }, "amount", "input.format"],
    [{ amount: "0" }, "amount", "input.range"],
    [{ kind: "limit", limit: "" }, "limit", "input.empty"],
    [{ kind: "limit", limit: "0" }, "limit", "input.price"],
    [{ kind: "limit", limit: "1" }, "limit", "input.price"],
    [{ kind: "limit", limit: "62%" }, "limit", "input.format"],
    [{ kind: "limit", limit: "0.4", tif: "gtd", expires: "" }, "expires", "input.empty.date"],
    [{ kind: "limit", limit: "0.4", tif: "gtd", expires: "2025-12-31T08:30" }, "expires", "input.past"],
  ] as const)("says what is wrong with %j", (patch, field, why) => {
    expect(read({ ...form, ...patch }, "en", NOW)).toEqual({ ok: false, field, why });
  });

  it("a buy is sized in credits, a sale in shares", () => {
    expect(quotePath(form, terms(10_000_000))).toBe("/v1/quotes?market=mkt_1&outcome=YES&side=buy&tif=ioc&amount_micros=10000000");
    expect(quotePath({ ...own, side: "sell", outcome: "NO" }, terms(5, 620_000))).toBe(
      "/v1/quotes?market=mkt_1&outcome=NO&side=sell&tif=gtc&shares_micros=5&limit_price_micros=620000",
    );
    expect(orderBody({ ...form, side: "sell", protect: "none" }, terms(5), quote)).toEqual({ market: "mkt_1", outcome: "YES", side: "sell", tif: "ioc", shares_micros: 5 });
  });

  it("a limit order says how long it stands, and whether it may trade at once", () => {
    const body = { market: "mkt_1", outcome: "YES", side: "buy", amount_micros: 5, limit_price_micros: 400_000 };
    expect(orderBody({ ...own, post: true }, terms(5, 400_000), quote)).toEqual({ ...body, tif: "gtc", post_only: true });
    const end = "2026-06-01T08:30:00.000Z";
    expect(orderBody({ ...own, tif: "gtd" }, terms(5, 400_000, end), quote)).toEqual({ ...body, tif: "gtd", expires_at: end });
    for (const tif of ["ioc", "fok"] as const) {
      expect(orderBody({ ...own, tif, post: true }, terms(5, 400_000), quote), "what never waits cannot only wait").toEqual({ ...body, tif });
    }
    expect(orderBody({ ...form, tif: "fok", post: true }, terms(5), quote), "a market order is neither").toEqual({ ...body, tif: "ioc", limit_price_micros: 620_000 });
  });

  it("quotes what it would send", () => {
    const end = "2026-06-01T08:30:00.000Z";
    const query = (f: Form, x: Terms) => Object.fromEntries(new URLSearchParams(quotePath(f, x).split("?")[1]));
    expect(query({ ...own, tif: "gtd", post: true }, terms(5, 400_000, end))).toEqual({
      market: "mkt_1", outcome: "YES", side: "buy", tif: "gtd", amount_micros: "5", limit_price_micros: "400000", expires_at: end, post_only: "true",
    });
  });

  it("the bound lies beyond the quote, within the prices there are", () => {
    expect(limitPrice(form, terms(1), quote)).toBe(620_000);
    expect(limitPrice({ ...form, side: "sell" }, terms(1), { ...quote, price_after_micros: 400_000 })).toBe(380_000);
    expect(limitPrice({ ...form, protect: "50000" }, terms(1), { ...quote, price_after_micros: 980_000 })).toBe(999_999);
    expect(limitPrice({ ...form, side: "sell" }, terms(1), { ...quote, price_after_micros: 10_000 })).toBe(1);
    expect(limitPrice(own, terms(1, 610_000), quote)).toBe(610_000);
    expect(limitPrice({ ...form, protect: "none" }, terms(1), quote)).toBeNull();
  });

  it("knows what the trader cannot cover", () => {
    expect(shortOf(quote, null, account)).toBeNull();
    expect(shortOf({ ...quote, amount_micros: 10_000_001 }, null, account)).toBe("insufficient_funds");
    expect(shortOf({ ...quote, fee_micros: 1 }, null, account)).toBe("insufficient_funds");
    expect(shortOf({ ...quote, amount_micros: 10_000_001 }, null, null)).toBeNull();
    expect(shortOf({ ...quote, side: "sell", shares_micros: 5_000_000 }, null, account)).toBeNull();
    expect(shortOf({ ...quote, side: "sell", shares_micros: 5_000_001 }, null, account)).toBe("insufficient_shares");
    expect(shortOf({ ...quote, side: "sell", outcome: "NO", shares_micros: 1 }, null, account)).toBe("insufficient_shares");
  });

  it("counts what would wait", () => {
    const waits = { ...quote, amount_micros: 6_000_000, rests_micros: 10_000_000 };
    expect(shortOf(waits, 400_000, account)).toBeNull();
    expect(shortOf({ ...waits, rests_micros: 10_000_001 }, 400_000, account), "the reserve is rounded up").toBe("insufficient_funds");
    const sale = { ...quote, side: "sell", shares_micros: 2_000_000, rests_micros: 3_000_000 } as const;
    expect(shortOf(sale, 400_000, account)).toBeNull();
    expect(shortOf({ ...sale, rests_micros: 3_000_001 }, 400_000, account)).toBe("insufficient_shares");
  });

  it("knows a partial fill from a rounded one, and from one whose rest waits", () => {
    const buy = orderBody(form, terms(10_000_000), quote);
    const of = (over: Partial<Fill>): Placed => ({ ...done, fill: { ...fill, ...over } });
    expect(isPartial(buy, done)).toBe(false);
    expect(isPartial(buy, of({ amount_micros: 9_999_999 }))).toBe(false);
    expect(isPartial(buy, of({ amount_micros: 9_000_000 }))).toBe(true);
    expect(isPartial(buy, { ...of({ amount_micros: 9_000_000 }), rest })).toBe(false);
    const sell = orderBody({ ...form, side: "sell" }, terms(5), quote);
    expect(isPartial(sell, of({ shares_micros: 5 }))).toBe(false);
    expect(isPartial(sell, of({ shares_micros: 4 }))).toBe(true);
  });
});

describe("Desk", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function setUp() {
    const get = vi.fn(async (_path: string): Promise<Quote> => quote);
    const post = vi.fn(async (_path: string, _body: object, _key: string): Promise<Placed> => done);
    const onPlaced = vi.fn();
    const onUnauthorised = vi.fn();
    let keys = 0;
    let api: Api | null = { get, post } as unknown as Api;
    const desk = new Desk({
      api: () => api,
      lang: () => "en",
      account: () => account,
      now: () => NOW,
      newKey: () => `key-${++keys}`,
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      onChange: () => {},
      onPlaced,
      onUnauthorised,
    });
    const signOut = () => {
      api = null;
      desk.reset();
    };
    return { desk, get, post, onPlaced, onUnauthorised, signOut };
  }

  async function quoted() {
    const s = setUp();
    s.desk.set({ market: "mkt_1", amount: "10" });
    await vi.advanceTimersByTimeAsync(TYPING_MS);
    expect(s.desk.quote).toEqual({ kind: "ready", quote });
    return s;
  }

  it("asks once, when typing has paused", async () => {
    const { desk, get } = setUp();
    desk.set({ market: "mkt_1" });
    for (const amount of ["1", "10", "10.", "10.5"]) {
      desk.set({ amount });
      await vi.advanceTimersByTimeAsync(TYPING_MS - 1);
    }
    expect(get).not.toHaveBeenCalled();
    expect(desk.quote.kind).toBe("loading");
    await vi.advanceTimersByTimeAsync(1);
    expect(get.mock.calls.map(([path]) => path)).toEqual([expect.stringContaining("amount_micros=10500000")]);
  });

  it("asks for an outcome that the market has", async () => {
    const { desk, get } = setUp();
    desk.set({ market: "mkt_2", amount: "10", kind: "limit", limit: "0.4" });
    desk.offer([]);
    expect(desk.form.outcome, "a market that is not known yet decides nothing").toBe("YES");
    desk.offer(["O1", "O2", "O3"]);
    expect(desk.form, "a limit of another outcome is none of this one").toMatchObject({ outcome: "O1", limit: "", amount: "10" });
    desk.set({ outcome: "O3", kind: "market" });
    desk.offer(["O1", "O2", "O3"]);
    await vi.advanceTimersByTimeAsync(TYPING_MS);
    expect(get.mock.calls.map(([path]) => path)).toEqual([expect.stringContaining("outcome=O3")]);
    desk.set({ side: "sell", amount: "5" });
    desk.offer(["LONG", "SHORT"]);
    expect(desk.form, "shares of another outcome are none of this one").toMatchObject({ outcome: "LONG", amount: "" });
  });

  it("an answer that was overtaken is dropped", async () => {
    const { desk, get } = await quoted();
    let late = (_q: Quote) => {};
    get.mockImplementationOnce(() => new Promise((resolve) => (late = resolve)));
    desk.set({ amount: "11" });
    await vi.advanceTimersByTimeAsync(TYPING_MS);
    desk.set({ amount: "" });
    late({ ...quote, shares_micros: 1 });
    await vi.advanceTimersByTimeAsync(TYPING_MS);
    expect(desk.quote).toEqual({ kind: "none" });
    expect(desk.canSubmit()).toBe(false);
  });

  it("refreshes the quote when the market moves, at most once a second", async () => {
    const { desk, get } = await quoted();
    for (let i = 0; i < 20; i++) {
      desk.priceMoved();
      await vi.advanceTimersByTimeAsync(REQUOTE_MS / 10);
    }
    expect(get.mock.calls.length).toBe(1 + 2);
  });

  it("a quote that would be refused cannot be sent, and is repeated when the market moves", async () => {
    const { desk, get } = setUp();
    get.mockResolvedValueOnce({ ...quote, code: "price_limit" });
    desk.set({ market: "mkt_1", amount: "10" });
    await vi.advanceTimersByTimeAsync(TYPING_MS);
    expect(desk.quote).toEqual({ kind: "problem", code: "price_limit", retry: 0 });
    expect(desk.canSubmit()).toBe(false);
    desk.priceMoved();
    await vi.advanceTimersByTimeAsync(REQUOTE_MS);
    expect(desk.canSubmit()).toBe(true);
  });

  it("an order that is not covered cannot be sent", async () => {
    const { desk, get, post } = setUp();
    get.mockResolvedValue({ ...quote, amount_micros: 11_000_000 });
    desk.set({ market: "mkt_1", amount: "11" });
    await vi.advanceTimersByTimeAsync(TYPING_MS);
    expect(desk.quote).toEqual({ kind: "problem", code: "insufficient_funds", retry: 0 });
    await desk.submit();
    expect(post).not.toHaveBeenCalled();
  });

  it("repeats a quote that got no answer", async () => {
    const { desk, get } = setUp();
    get.mockRejectedValueOnce(new NoAnswer());
    desk.set({ market: "mkt_1", amount: "10" });
    await vi.advanceTimersByTimeAsync(TYPING_MS);
    expect(desk.quote.kind).toBe("stale");
    await vi.advanceTimersByTimeAsync(REQUOTE_MS);
    expect(desk.quote.kind).toBe("ready");
  });

  it("sends what was quoted, shows the fill and empties the amount", async () => {
    const { desk, post, onPlaced } = await quoted();
    await desk.submit();
    expect(post).toHaveBeenCalledWith("/v1/orders", orderBody(form, terms(10_000_000), quote), "key-1", expect.anything());
    expect(desk.result).toEqual({ kind: "filled", placed: done, partial: false });
    expect(onPlaced).toHaveBeenCalledWith(6);
    expect(desk.form.amount).toBe("");
    expect(desk.canSubmit()).toBe(false);
  });

  it("an order that only waits is a success, too", async () => {
    const { desk, get, post, onPlaced } = setUp();
    get.mockResolvedValue({ ...quote, amount_micros: 0, shares_micros: 0, average_price_micros: 0, rests_micros: 25_000_000 });
    post.mockResolvedValue({ seq: 7, fill: null, rest });
    desk.set({ ...own, post: true });
    await vi.advanceTimersByTimeAsync(TYPING_MS);
    await desk.submit();
    expect(post.mock.calls[0]?.[1]).toMatchObject({ tif: "gtc", limit_price_micros: 400_000, post_only: true });
    expect(desk.result).toEqual({ kind: "rested", placed: { seq: 7, fill: null, rest }, partial: false });
    expect(onPlaced).toHaveBeenCalledWith(7);
    expect(desk.form, "the next one may be alike").toMatchObject({ kind: "limit", limit: "0.4", amount: "" });
  });

  it("two clicks are one order", async () => {
    const { desk, post } = await quoted();
    await Promise.all([desk.submit(), desk.submit()]);
    expect(post).toHaveBeenCalledOnce();
  });

  it("a broken line is tried again with the same key", async () => {
    const { desk, post } = await quoted();
    post.mockRejectedValueOnce(new NoAnswer()).mockRejectedValueOnce(new Problem(503, "not_leader", 0));
    const sent = desk.submit();
    await vi.advanceTimersByTimeAsync(10_000);
    await sent;
    expect(post.mock.calls.map(([, , key]) => key)).toEqual(["key-1", "key-1", "key-1"]);
    expect(desk.result?.kind).toBe("filled");
  });

  it("an order whose fate is open is repeated as it was, even after the market moved", async () => {
    const { desk, get, post } = await quoted();
    post.mockRejectedValue(new NoAnswer());
    const sent = desk.submit();
    await vi.advanceTimersByTimeAsync(60_000);
    await sent;
    expect(post).toHaveBeenCalledTimes(PAUSES_MS.length + 1);
    expect(desk.result).toEqual({ kind: "unknown" });
    get.mockResolvedValue({ ...quote, price_after_micros: 700_000 });
    desk.priceMoved();
    await vi.advanceTimersByTimeAsync(REQUOTE_MS);
    post.mockResolvedValue(done);
    await desk.submit();
    const [first, last] = [post.mock.calls[0], post.mock.calls.at(-1)];
    expect(last?.slice(0, 3)).toEqual(first?.slice(0, 3));
    expect(desk.result?.kind).toBe("filled");
  });

  it("a changed form is another order with another key", async () => {
    const { desk, post } = await quoted();
    post.mockRejectedValueOnce(new Problem(422, "insufficient_funds", 0));
    await desk.submit();
    expect(desk.result).toEqual({ kind: "problem", code: "insufficient_funds", retry: 0 });
    expect(desk.form.amount, "a refused form stays").toBe("10");
    desk.set({ amount: "5" });
    expect(desk.result).toBeNull();
    await vi.advanceTimersByTimeAsync(TYPING_MS);
    await desk.submit();
    expect(post.mock.calls.map(([, , key]) => key)).toEqual(["key-1", "key-2"]);
  });

  it("the same order twice, each decided, has two keys", async () => {
    const { desk, post } = await quoted();
    await desk.submit();
    desk.set({ amount: "10" });
    await vi.advanceTimersByTimeAsync(TYPING_MS);
    await desk.submit();
    expect(post.mock.calls.map(([, , key]) => key)).toEqual(["key-1", "key-2"]);
  });

  it("a key that is refused signs out", async () => {
    const { desk, post, onUnauthorised } = await quoted();
    post.mockRejectedValue(new Problem(401, "unauthenticated", 0));
    await desk.submit();
    expect(onUnauthorised).toHaveBeenCalledOnce();
    expect(desk.sending).toBe(false);
  });

  it.each([null, new Problem(401, "unauthenticated", 0), new Problem(422, "insufficient_funds", 0), new NoAnswer()])(
    "says nothing of an order on its way to the one who signed in after (%s)",
    async (end) => {
      const { desk, post, onPlaced, onUnauthorised, signOut } = await quoted();
      if (end) post.mockRejectedValue(end);
      const sent = desk.submit();
      signOut();
      expect(desk.sending, "the form is free").toBe(false);
      desk.set({ amount: "7" });
      await vi.runAllTimersAsync();
      await sent;
      expect(desk.form.amount).toBe("7");
      expect(desk.result).toBeNull();
      expect(onPlaced).not.toHaveBeenCalled();
      expect(onUnauthorised).not.toHaveBeenCalled();
    },
  );
});
