import { expect, it } from "vitest";
import { translator } from "../i18n/i18n";
import type { Market } from "../model/model";
import { row } from "./row";

const market: Market = {
  market: "mkt_1", title: "Chove?", state: "open", close_at: null, yes_price_micros: 573_210, no_price_micros: 426_790, twap_micros: 560_000,
  depth_micros: 1_234_000_000, volume_micros: 98_765_432_100, trades: 3, outcome: null,
};

it("says price and probability of the same market, in the language's digits", () => {
  expect(row(market, "pt", translator("pt"))).toEqual({
    title: "Chove?", name: "Chove?, sim a 57,3%", percent: "57,3%", price: "0,573", share: "0.5732", twap: "56,0%", depth: "1.234",
    volume: "98.765", state: "aberto",
  });
  expect(row(market, "en", translator("en"))).toMatchObject({ percent: "57.3%", volume: "98,765", state: "open" });
});

it("a resolved market shows its outcome and what a share has paid", () => {
  const words = row({ ...market, state: "resolved", outcome: "NO" }, "pt", translator("pt"));
  expect(words).toMatchObject({ state: "resolvido: Não", percent: "0,0%", price: "0,000", share: "0.0000" });
});
