import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { NoAnswer, Problem, type Api } from "../api/api";
import type { Book } from "../model/model";
import { BookFeed, DEPTH, REREAD_MS } from "./feed";
import { largest, levelWords } from "./levels";

const level = (price: number, shares: number, orders = 1) => ({ price_micros: price, shares_micros: shares, orders });
const bookOf = (outcome: string, seq = 1): Book => ({ seq, market: "mkt_1", outcome, bids: [level(400_000, 7_000_000)], asks: [] });

describe("BookFeed", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function setUp() {
    const get = vi.fn(async (path: string, _check: unknown, _signal: AbortSignal): Promise<Book> => bookOf(path.includes("outcome=NO") ? "NO" : "YES"));
    const onChange = vi.fn();
    const onUnauthorised = vi.fn();
    let api: Api | null = { get } as unknown as Api;
    const feed = new BookFeed({ api: () => api, onChange, onUnauthorised });
    return { feed, get, onChange, onUnauthorised, signOut: () => (api = null) };
  }

  it("reads what it is turned to, once", async () => {
    const { feed, get, onChange } = setUp();
    for (let i = 0; i < 5; i++) feed.watch("mkt_1", "YES");
    await vi.advanceTimersByTimeAsync(0);
    expect(get.mock.calls.map(([path]) => path)).toEqual([`/v1/markets/mkt_1/book?outcome=YES&depth=${DEPTH}`]);
    expect(feed.book).toEqual(bookOf("YES"));
    expect(onChange).toHaveBeenCalledOnce();
  });

  it("drops the answer about what it has turned from", async () => {
    const { feed, get } = setUp();
    let late = (_b: Book) => {};
    get.mockImplementationOnce(() => new Promise((resolve) => (late = resolve)));
    feed.watch("mkt_1", "YES");
    feed.watch("mkt_1", "NO");
    await vi.advanceTimersByTimeAsync(0);
    late(bookOf("YES"));
    await vi.advanceTimersByTimeAsync(0);
    expect(feed.book?.outcome).toBe("NO");
    expect(get.mock.calls[0]?.[2].aborted).toBe(true);
  });

  it("shows nothing of the one before while the next is read", () => {
    const { feed } = setUp();
    feed.watch("mkt_1", "YES");
    feed.watch("mkt_2", "YES");
    expect(feed.book).toBeNull();
  });

  it("reads again when the market moved, at most once a second", async () => {
    const { feed, get } = setUp();
    feed.watch("mkt_1", "YES");
    for (let i = 0; i < 20; i++) {
      feed.moved();
      await vi.advanceTimersByTimeAsync(REREAD_MS / 10);
    }
    expect(get.mock.calls.length).toBe(1 + 2);
  });

  it("keeps what it has when the line breaks, and tries again", async () => {
    const { feed, get } = setUp();
    feed.watch("mkt_1", "YES");
    await vi.advanceTimersByTimeAsync(0);
    get.mockRejectedValueOnce(new NoAnswer());
    feed.moved();
    await vi.advanceTimersByTimeAsync(REREAD_MS);
    expect(feed).toMatchObject({ failed: true, book: bookOf("YES") });
    await vi.advanceTimersByTimeAsync(REREAD_MS);
    expect(feed.failed).toBe(false);
  });

  it("asks for nothing without a market or a key", async () => {
    const { feed, get, signOut } = setUp();
    feed.watch("mkt_1", "YES");
    feed.watch("", "");
    feed.moved();
    await vi.advanceTimersByTimeAsync(REREAD_MS);
    expect(feed.book).toBeNull();
    signOut();
    feed.watch("mkt_1", "YES");
    await vi.advanceTimersByTimeAsync(REREAD_MS);
    expect(get).toHaveBeenCalledOnce();
  });

  it("a key that is refused signs out", async () => {
    const { feed, get, onUnauthorised } = setUp();
    get.mockRejectedValueOnce(new Problem(401, "unauthenticated", 0));
    feed.watch("mkt_1", "YES");
    await vi.advanceTimersByTimeAsync(REREAD_MS * 3);
    expect(onUnauthorised).toHaveBeenCalledOnce();
    expect(get).toHaveBeenCalledOnce();
  });
});

it("says a level in the language's digits, with a bar against the largest of both sides", () => {
  const [bids, asks] = [[level(400_000, 7_000_000, 2)], [level(412_345, 14_000_000)]];
  expect(levelWords(bids, largest(bids, asks), "pt")).toEqual([{ price: "0,4000", percent: "40,0%", shares: "7,00", orders: "2", share: "0.5000" }]);
  expect(levelWords(asks, largest(bids, asks), "en")).toEqual([{ price: "0.412345", percent: "41.2%", shares: "14.00", orders: "1", share: "1.0000" }]);
  expect(largest([], [])).toBe(0);
});
