import { describe, expect, it } from "vitest";
import { translator } from "../i18n/i18n";
import type { Fill, Quote, Rest } from "../model/model";
import { EMPTY } from "./desk";
import type { Form, Reading } from "./order";
import { limitWords, quoteWords, resultWords, suggestedLimit } from "./words";

const t = translator("pt");
const quote: Quote = {
  seq: 5, market: "mkt_1", outcome: "YES", side: "buy", amount_micros: 10_000_000, shares_micros: 18_181_818,
  fee_micros: 0, average_price_micros: 550_000, price_before_micros: 500_000, price_after_micros: 600_000, rests_micros: 0, code: "ok",
};
const form: Form = { ...EMPTY, market: "mkt_1", amount: "10" };
const reading: Reading = { ok: true, micros: 10_000_000, limit: null, expires: null };

describe("quoteWords", () => {
  it("a buy pays credits, receives shares, and each winning share pays one credit", () => {
    expect(quoteWords(quote, null, "pt", t)).toEqual({
      pay: "10,00 créditos", receive: "18,181818 ações", charge: "", average: "0,5500", after: "50,0% › 60,0%", waits: "", reserve: "", payout: "18,181818 créditos",
    });
  });

  it("a fee is paid on top of a buy and taken off a sale", () => {
    expect(quoteWords({ ...quote, fee_micros: 250_000 }, null, "pt", t)).toMatchObject({ pay: "10,25 créditos", charge: "0,25 créditos" });
    expect(quoteWords({ ...quote, side: "sell", fee_micros: 250_000 }, null, "pt", t)).toMatchObject({ receive: "9,75 créditos", charge: "0,25 créditos" });
  });

  it("a sale gives shares and receives credits", () => {
    expect(quoteWords({ ...quote, side: "sell" }, null, "pt", t)).toMatchObject({ pay: "18,181818 ações", receive: "10,00 créditos", payout: "" });
  });

  it("says what waits and what is set aside for it, apart from what is filled", () => {
    const part = { ...quote, rests_micros: 10_000_001 };
    expect(quoteWords(part, 400_000, "pt", t)).toMatchObject({ pay: "10,00 créditos", waits: "10,000001 ações a 0,40", reserve: "4,000001 créditos" });
    expect(quoteWords({ ...part, side: "sell" }, 400_000, "pt", t)).toMatchObject({ waits: "10,000001 ações a 0,40", reserve: "" });
  });

  it("has no price where nothing is filled", () => {
    const none = { ...quote, amount_micros: 0, shares_micros: 0, average_price_micros: 0, rests_micros: 25_000_000 };
    expect(quoteWords(none, 400_000, "pt", t)).toEqual({
      pay: "", receive: "", charge: "", average: "", after: "", waits: "25,00 ações a 0,40", reserve: "10,00 créditos", payout: "",
    });
  });
});

describe("limitWords", () => {
  it("says the bound of the order that would be sent", () => {
    expect(limitWords(form, reading, quote, "pt", t)).toBe("Nada é comprado acima de 0,6200 créditos (62,0%).");
    expect(limitWords({ ...form, side: "sell" }, reading, quote, "pt", t)).toBe("Nada é vendido abaixo de 0,5800 créditos (58,0%).");
    expect(limitWords({ ...form, protect: "none" }, reading, null, "pt", t)).toContain("qualquer preço");
    expect(limitWords({ ...form, kind: "limit" }, { ...reading, limit: 610_000 }, null, "pt", t)).toContain("0,6100");
    expect(limitWords({ ...form, kind: "limit", protect: "none" }, { ...reading, limit: 610_000 }, quote, "pt", t)).toContain("0,6100");
  });

  it("says nothing where there is nothing to measure from", () => {
    expect(limitWords(form, reading, null, "pt", t)).toBe("");
    expect(limitWords(form, { ok: false, field: "amount", why: "input.empty" }, quote, "pt", t)).toBe("");
  });
});

describe("resultWords", () => {
  const fill: Fill = { ...quote, order: "ord_6", stopped_by_own_order: null };
  const rest: Rest = { order: "ord_6", market: "mkt_1", outcome: "YES", side: "buy", limit_price_micros: 400_000, shares_micros: 7_000_000 };
  const said = "Comprou 18,181818 ações de Sim por 10,00 créditos, a 0,5500 cada em média.";
  const filled = (over: Partial<Fill> = {}, waits: Rest | null = null, partial = false) =>
    resultWords({ kind: "filled", placed: { seq: 6, fill: { ...fill, ...over }, rest: waits }, partial }, undefined, "pt", t);

  it("says what was filled, and what was left", () => {
    expect(filled()).toBe(said);
    expect(filled({}, null, true)).toBe(`${said} O restante passava do seu limite ou dos limites do mercado e não foi executado.`);
    expect(filled({ stopped_by_own_order: true }, null, true)).toBe(`${said} O restante encontraria uma ordem sua e caiu.`);
  });

  it("says what waits", () => {
    expect(filled({}, rest)).toBe(`${said} Outras 7,00 esperam no livro a 0,40.`);
    const only = (side: "buy" | "sell", met: Fill | null = null) =>
      resultWords({ kind: "rested", placed: { seq: 6, fill: met, rest: { ...rest, side } }, partial: false }, undefined, "pt", t);
    expect(only("buy")).toBe("Uma ordem de compra de 7,00 ações de Sim espera no livro a 0,40.");
    expect(only("sell")).toBe("Uma ordem de venda de 7,00 ações de Sim espera no livro a 0,40.");
    expect(only("buy", { ...fill, shares_micros: 0, amount_micros: 0 }), "own orders met are no fill").toBe(only("buy"));
  });

  it("says the fee, if there was one", () => {
    expect(filled({ fee_micros: 250_000 })).toMatch(/em média\. A taxa foi de 0,25 créditos\.$/);
  });

  it("explains refusals and an open fate", () => {
    expect(resultWords({ kind: "problem", code: "rate_limited", retry: 2 }, undefined, "pt", t)).toContain("2 s");
    expect(resultWords({ kind: "problem", code: "post_only_takes", retry: 0 }, undefined, "pt", t)).toContain("executada na hora");
    expect(resultWords({ kind: "unknown" }, undefined, "pt", t)).toContain("nunca é executada duas vezes");
    expect(resultWords(null, undefined, "pt", t)).toBe("");
  });
});

it("suggests a limit at the price, in whole cents within the prices there are", () => {
  expect(suggestedLimit(573_210, "pt")).toBe("0,57");
  expect(suggestedLimit(1, "en")).toBe("0.01");
  expect(suggestedLimit(999_999, "en")).toBe("0.99");
});
