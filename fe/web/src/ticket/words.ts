/** What the ticket says: the quote, the limit, the result. */
import { problemText, type Lang, type Translate } from "../i18n/i18n";
import { outcomeText } from "../markets/row";
import type { Market, Quote } from "../model/model";
import { decimal, ONE, percent } from "../money/money";
import type { Result } from "./desk";
import { filled, limitPrice, reserved, type Form, type Reading } from "./order";

/** The lines of a quote; an empty one is not shown. */
export const LINES = ["pay", "receive", "charge", "average", "after", "waits", "reserve", "payout"] as const;
export type QuoteWords = Readonly<Record<(typeof LINES)[number], string>>;

/**
 * The quote line by line: what is filled at once, and what waits at `limit`. The
 * payout is what the bought shares pay if they win, one credit each.
 */
export function quoteWords(q: Quote, limit: number | null, lang: Lang, t: Translate): QuoteWords {
  const credits = (n: number) => t("ticket.amount.credits", { n: decimal(n, lang) });
  const shares = t("ticket.amount.shares", { n: decimal(q.shares_micros, lang) });
  const fills = q.shares_micros > 0;
  const paid = credits(q.amount_micros + (q.side === "buy" ? q.fee_micros : -q.fee_micros));
  const [pay, receive] = q.side === "buy" ? [paid, shares] : [shares, paid];
  const aside = reserved(q, limit);
  return {
    pay: fills ? pay : "",
    receive: fills ? receive : "",
    charge: q.fee_micros > 0 ? credits(q.fee_micros) : "",
    average: fills ? decimal(q.average_price_micros, lang, 4, 4) : "",
    after: fills ? `${percent(q.price_before_micros, lang)} › ${percent(q.price_after_micros, lang)}` : "",
    waits: q.rests_micros > 0 ? t("ticket.amount.waits", { n: decimal(q.rests_micros, lang), price: decimal(limit ?? 0, lang) }) : "",
    reserve: aside > 0 ? credits(aside) : "",
    payout: fills && q.side === "buy" ? credits(q.shares_micros) : "",
  };
}

/** What the bound means for this order; empty while there is nothing to measure from. */
export function limitWords(form: Form, reading: Reading, quote: Quote | null, lang: Lang, t: Translate): string {
  if (form.kind === "market" && form.protect === "none") return t("ticket.limit.none");
  if (!reading.ok) return "";
  const price = quote ? limitPrice(form, reading, quote) : reading.limit;
  if (price === null) return "";
  // A bound that follows from the quote is said roughly, a price of one's own as it was typed.
  return t(`ticket.limit.${form.side}`, { price: decimal(price, lang, 4, form.kind === "limit" ? 6 : 4), percent: percent(price, lang) });
}

/** The result of the last order. */
export function resultWords(result: Result | null, market: Market | undefined, lang: Lang, t: Translate): string {
  if (!result) return "";
  if (result.kind === "unknown") return t("ticket.unknown");
  if (result.kind === "problem") return problemText(t, result.code, result.retry);
  const fill = filled(result.placed);
  const { rest } = result.placed;
  const said: string[] = [];
  if (fill) {
    said.push(t(`ticket.filled.${fill.side}`, {
      shares: decimal(fill.shares_micros, lang),
      outcome: outcomeText(market, fill.outcome, t),
      amount: decimal(fill.amount_micros, lang),
      price: decimal(fill.average_price_micros, lang, 4, 4),
    }));
    if (fill.fee_micros > 0) said.push(t("ticket.fee", { fee: decimal(fill.fee_micros, lang) }));
  }
  if (rest) {
    said.push(t(fill ? "ticket.rest" : `ticket.rested.${rest.side}`, {
      shares: decimal(rest.shares_micros, lang),
      outcome: outcomeText(market, rest.outcome, t),
      price: decimal(rest.limit_price_micros, lang),
    }));
  }
  if (result.placed.fill?.stopped_by_own_order) said.push(t("ticket.own"));
  else if (result.partial) said.push(t("ticket.partial"));
  return said.join(" ");
}

/** A price a person may start a limit of their own from: the market's, in whole cents. */
export const suggestedLimit = (price: number, lang: Lang): string =>
  decimal(Math.min(ONE - 10_000, Math.max(10_000, Math.round(price / 10_000) * 10_000)), lang);
