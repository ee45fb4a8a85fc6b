import { expect, it } from "vitest";
import { translator } from "../i18n/i18n";
import { cup, degrees, outcomeState, sample, yesNo } from "../model/samples";
import { row } from "./row";

const market = sample({ title: "Chove?", outcomes: yesNo(573_210, { twap_micros: 560_000, depth_micros: 1_234_000_000 }), volume_micros: 98_765_432_100, trades: 3 });

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
  expect(row(cup(), "en", translator("en"))).toMatchObject({ name: "Cup, Blue at 50.0%", percent: "Blue 50.0%", twap: "30.0%", depth: "4" });
  expect(row(cup({ state: "settling", outcome: "O3" }), "en", translator("en")).state).toBe("paying out");
  const duel = cup({ outcomes: [outcomeState("O1", 400_000, { label: "Red" }), outcomeState("O2", 600_000, { label: "Blue" })] });
  expect(row(duel, "en", translator("en")).percent, "two that have names are not yes and no").toBe("Blue 60.0%");
});

it("a scalar market shows the value that its price stands for", () => {
  expect(row(degrees(), "pt", translator("pt"))).toMatchObject({ name: "Degrees?, em 0,00", percent: "0,00", price: "0,250", share: "0.2500" });
  const ended = degrees({ state: "resolved", outcome: "LONG", outcomes: [outcomeState("LONG", 875_000), outcomeState("SHORT", 125_000)] });
  expect(row(ended, "en", translator("en")).state).toBe("resolved: 25.00");
});
