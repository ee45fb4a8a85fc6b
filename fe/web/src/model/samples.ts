/** Markets as the tests need them: whole, and different only where a test says so. */
import type { Market, OutcomeState } from "./model";

export const outcomeState = (outcome: string, price: number, over: Partial<OutcomeState> = {}): OutcomeState => ({
  outcome, label: null, price_micros: price, twap_micros: price, twap_1m_micros: price, twap_15m_micros: price, depth_micros: 0,
  best_bid_micros: null, best_ask_micros: null, ...over,
});

/** The two outcomes of a binary market. */
export const yesNo = (yes: number, over: Partial<OutcomeState> = {}) => [outcomeState("YES", yes, over), outcomeState("NO", 1_000_000 - yes, over)];

export const sample = (over: Partial<Market> = {}): Market => ({
  market: "mkt_1", title: "Rain?", kind: "binary", state: "open", min: null, max: null, close_at: null, outcomes: yesNo(500_000),
  proposal: null, ending: null, volume_micros: 0, trades: 0, outcome: null, clarifications: null, ...over,
});

export const cup = (over: Partial<Market> = {}): Market =>
  sample({
    title: "Cup", kind: "categorical", outcomes: [
      outcomeState("O1", 200_000, { label: "Red" }), outcomeState("O2", 500_000, { label: "Blue", twap_micros: 300_000, depth_micros: 4_000_000 }),
      outcomeState("O3", 300_000, { label: "Green" }),
    ], ...over,
  });

/** Pays from −10 to 30: LONG at 0.25 stands for 0. */
export const degrees = (over: Partial<Market> = {}): Market =>
  sample({ title: "Degrees?", kind: "scalar", min: -10_000_000, max: 30_000_000, outcomes: [outcomeState("LONG", 250_000), outcomeState("SHORT", 750_000)], ...over });
