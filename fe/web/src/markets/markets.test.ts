import { expect, it } from "vitest";
import { translator } from "../i18n/i18n";
import type { Market } from "../model/model";
import { row } from "./row";

const market: Market = {
  market: "mkt_1", title: "Chove?", state: "open", close_at: null, outcomes: [
    { outcome: "YES", label: null, price_micros: 573_210, twap_micros: 560_000, depth_micros: 1_234_000_000 },
    { outcome: "NO", label: null, price_micros: 1_000_000 - 573_210, twap_micros: 1_000_000 - 560_000, depth_micros: 1_234_000_000 },
  ], volume_micros: 98_765_432_100, trades: 3, outcome: null,
};

it("says price and probability of the same market, in the language's digits", () => {
  expect(row(market, "pt", translator("pt"))).toEqual({
    title: "Chove?", name: "Chove?, Sim a 57,3%", percent: "57,3%", price: "0,573", share: "0.5732", twap: "56,0%", depth: "1.234",
    volume: "98.765", state: "aberto",
  });
  expect(row(market, "en", translator("en"))).toMatchObject({ percent: "57.3%", volume: "98,765", state: "open" });
});

it("a resolved market shows its outcome and what a share has paid", () => {
  const words = row({ ...market, state: "resolved", outcome: "NO", outcomes: market.outcomes.map((o) => ({ ...o, price_micros: o.outcome === "NO" ? 1_000_000 : 0 })) }, "pt", translator("pt"));
  expect(words).toMatchObject({ state: "resolvido: Não", percent: "0,0%", price: "0,000", share: "0.0000" });
});

it("a market of many outcomes shows the likeliest by its label", () => {
  const cup: Market = {
    ...market, title: "Cup", outcomes: [
      { outcome: "O1", label: "Red", price_micros: 200_000, twap_micros: 1, depth_micros: 2 },
      { outcome: "O2", label: "Blue", price_micros: 500_000, twap_micros: 300_000, depth_micros: 4_000_000 },
      { outcome: "O3", label: null, price_micros: 300_000, twap_micros: 5, depth_micros: 6 },
    ],
  };
  expect(row(cup, "en", translator("en"))).toMatchObject({ name: "Cup, Blue at 50.0%", percent: "Blue 50.0%", twap: "30.0%", depth: "4" });
  expect(row({ ...cup, state: "settling", outcome: "O3" }, "en", translator("en")).state).toBe("paying out");
});
