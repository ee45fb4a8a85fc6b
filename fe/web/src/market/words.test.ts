import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { NoAnswer, Problem, type Api } from "../api/api";
import type { Market } from "../model/model";
import { sample } from "../model/samples";
import { REREAD_MS, Words } from "./words";

const said = (id: string, words: string | null = null) => ({ at: "2026-11-30T12:00:00.000000Z", text_id: id, text: words });

describe("Words", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function setUp() {
    const get = vi.fn(async (_path: string, _check: unknown, _signal: AbortSignal): Promise<Market> => sample({ clarifications: [said("a", "Snow that stays.")] }));
    const onChange = vi.fn();
    const onUnauthorised = vi.fn();
    const words = new Words({ api: () => ({ get }) as unknown as Api, onChange, onUnauthorised });
    return { words, get, onChange, onUnauthorised };
  }

  it("asks for nothing where there is nothing", async () => {
    const { words, get } = setUp();
    words.watch(undefined);
    words.watch(sample());
    await vi.advanceTimersByTimeAsync(REREAD_MS * 2);
    expect(get).not.toHaveBeenCalled();
  });

  it("reads what a market has, once, and again when there is one more", async () => {
    const { words, get, onChange } = setUp();
    for (let i = 0; i < 5; i++) words.watch(sample({ clarifications: [said("a")], trades: i }));
    await vi.advanceTimersByTimeAsync(0);
    expect(get.mock.calls.map(([path]) => path)).toEqual(["/v1/markets/mkt_1"]);
    expect(words.all.map((c) => c.text)).toEqual(["Snow that stays."]);
    expect(onChange).toHaveBeenCalledOnce();
    words.watch(sample({ clarifications: [said("a"), said("b")] }));
    await vi.advanceTimersByTimeAsync(0);
    expect(get).toHaveBeenCalledTimes(2);
  });

  it("shows nothing of the market before", async () => {
    const { words } = setUp();
    words.watch(sample({ clarifications: [said("a")] }));
    await vi.advanceTimersByTimeAsync(0);
    words.watch(sample({ market: "mkt_2" }));
    expect(words.all).toEqual([]);
  });

  it("tries again without an answer, and signs out where it is told to", async () => {
    const { words, get, onUnauthorised } = setUp();
    get.mockRejectedValueOnce(new NoAnswer("away"));
    words.watch(sample({ clarifications: [said("a")] }));
    await vi.advanceTimersByTimeAsync(REREAD_MS);
    expect(words.all.length).toBe(1);
    get.mockRejectedValueOnce(new Problem(401, "unauthenticated", 0));
    words.watch(sample({ clarifications: [said("a"), said("c")] }));
    await vi.advanceTimersByTimeAsync(0);
    expect(onUnauthorised).toHaveBeenCalledOnce();
  });
});
