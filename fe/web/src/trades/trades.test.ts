import { expect, it } from "vitest";
import { translator } from "../i18n/i18n";
import { tradeLine } from "./line";

it("says side, outcome, credits and price", () => {
  const trade = {
    seq: 9, market: "mkt_1", outcome: "NO", side: "sell", amount_micros: 1_234_567_899, shares_micros: 1, average_price_micros: 426_790,
    decided_at: "2026-01-01T00:00:00.000000Z",
  } as const;
  expect(tradeLine(trade, undefined, "pt", translator("pt"))).toEqual({ what: "Vender Não", amount: "1.234,56", price: "0,426" });
  expect(tradeLine(trade, undefined, "en", translator("en"))).toEqual({ what: "Sell No", amount: "1,234.56", price: "0.426" });
});
