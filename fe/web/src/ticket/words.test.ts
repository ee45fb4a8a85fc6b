import { describe, expect, it } from "vitest";
import { translator } from "../i18n/i18n";
import type { Fill, Quote } from "../model/model";
import type { Form } from "./order";
import { limitWords, quoteWords, resultWords, suggestedLimit } from "./words";

const t = translator("pt");
const quote: Quote = {
  seq: 5, market: "mkt_1", outcome: "YES", side: "buy", amount_micros: 10_000_000, shares_micros: 18_181_818,
  fee_micros: 0, average_price_micros: 550_000, price_before_micros: 500_000, price_after_micros: 600_000, code: "ok",
};
const form: Form = { market: "mkt_1", side: "buy", outcome: "YES", amount: "10", protect: "20000", limit: "" };
const reading = { ok: true, micros: 10_000_000, limit: null } as const;

describe("quoteWords", () => {
  it("a buy pays credits, receives shares, and each winning share pays one credit", () => {
    expect(quoteWords(quote, "pt", t)).toEqual({
      pay: "10,00 créditos", receive: "18,181818 ações", average: "0,5500", after: "50,0% › 60,0%", payout: "18,181818 créditos",
    });
  });

  it("a fee is paid on top of a buy and taken off a sale", () => {
    expect(quoteWords({ ...quote, fee_micros: 250_000 }, "pt", t).pay).toBe("10,25 créditos");
    expect(quoteWords({ ...quote, side: "sell", fee_micros: 250_000 }, "pt", t).receive).toBe("9,75 créditos");
  });

  it("a sale gives shares and receives credits", () => {
    expect(quoteWords({ ...quote, side: "sell" }, "pt", t)).toMatchObject({ pay: "18,181818 ações", receive: "10,00 créditos", payout: "" });
  });
});

describe("limitWords", () => {
  it("says the bound of the order that would be sent", () => {
    expect(limitWords(form, reading, quote, "pt", t)).toBe("Nada é comprado acima de 0,6200 créditos (62,0%).");
    expect(limitWords({ ...form, side: "sell" }, reading, quote, "pt", t)).toBe("Nada é vendido abaixo de 0,5800 créditos (58,0%).");
    expect(limitWords({ ...form, protect: "none" }, reading, null, "pt", t)).toContain("qualquer preço");
    expect(limitWords({ ...form, protect: "custom" }, { ...reading, limit: 610_000 }, null, "pt", t)).toContain("0,6100");
  });

  it("says nothing where there is nothing to measure from", () => {
    expect(limitWords(form, reading, null, "pt", t)).toBe("");
    expect(limitWords(form, { ok: false, field: "amount", why: "input.empty" }, quote, "pt", t)).toBe("");
  });
});

describe("resultWords", () => {
  const fill: Fill = { ...quote, seq: 6, order: "ord_6" };

  it("says what was filled, and what was left", () => {
    const said = "Comprou 18,181818 ações de Sim por 10,00 créditos, a 0,5500 cada em média.";
    expect(resultWords({ kind: "filled", fill, partial: false }, undefined, "pt", t)).toBe(said);
    expect(resultWords({ kind: "filled", fill, partial: true }, undefined, "pt", t)).toBe(`${said} O restante passava do seu limite e não foi executado.`);
  });

  it("says the fee, if there was one", () => {
    const said = resultWords({ kind: "filled", fill: { ...fill, fee_micros: 250_000 }, partial: false }, undefined, "pt", t);
    expect(said).toMatch(/em média\. A taxa foi de 0,25 créditos\.$/);
  });

  it("explains refusals and an open fate", () => {
    expect(resultWords({ kind: "problem", code: "rate_limited", retry: 2 }, undefined, "pt", t)).toContain("2 s");
    expect(resultWords({ kind: "unknown" }, undefined, "pt", t)).toContain("nunca é executada duas vezes");
    expect(resultWords(null, undefined, "pt", t)).toBe("");
  });
});

it("suggests a limit near the price", () => {
  expect(suggestedLimit(form, 573_210, "pt")).toBe("0,5932");
  expect(suggestedLimit({ ...form, side: "sell" }, 10_000, "en")).toBe("0.00");
});
