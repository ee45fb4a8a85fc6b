/** What the ticket says: the quote, the limit, the result. */
import { problemText, type Lang, type Translate } from "../i18n/i18n";
import { outcomeText } from "../markets/row";
import type { Market, Quote } from "../model/model";
import { decimal, ONE, percent } from "../money/money";
import type { Result } from "./desk";
import { limitPrice, type Form, type Reading } from "./order";

export interface QuoteWords {
  readonly pay: string;
  readonly receive: string;
  readonly average: string;
  readonly after: string;
  readonly payout: string;
}

/** The quote line by line. The payout is what the bought shares pay if they win: one credit each. */
export function quoteWords(q: Quote, lang: Lang, t: Translate): QuoteWords {
  const paid = q.amount_micros + (q.side === "buy" ? q.fee_micros : -q.fee_micros);
  const credits = t("ticket.amount.credits", { n: decimal(paid, lang) });
  const shares = t("ticket.amount.shares", { n: decimal(q.shares_micros, lang) });
  const [pay, receive] = q.side === "buy" ? [credits, shares] : [shares, credits];
  return {
    pay,
    receive,
    average: decimal(q.average_price_micros, lang, 4, 4),
    after: `${percent(q.price_before_micros, lang)} › ${percent(q.price_after_micros, lang)}`,
    payout: q.side === "buy" ? t("ticket.amount.credits", { n: decimal(q.shares_micros, lang) }) : "",
  };
}

/** What the protection means for this order; empty while there is no quote to measure from. */
export function limitWords(form: Form, reading: Reading, quote: Quote | null, lang: Lang, t: Translate): string {
  if (form.protect === "none") return t("ticket.limit.none");
  if (!reading.ok || (!quote && form.protect !== "custom")) return "";
  const price = quote ? limitPrice(form, reading.limit, quote) : reading.limit;
  if (price === null) return "";
  return t(`ticket.limit.${form.side}`, { price: decimal(price, lang, 4, 4), percent: percent(price, lang) });
}

/** The result of the last order. */
export function resultWords(result: Result | null, market: Market | undefined, lang: Lang, t: Translate): string {
  if (!result) return "";
  if (result.kind === "unknown") return t("ticket.unknown");
  if (result.kind === "problem") return problemText(t, result.code, result.retry);
  const { fill } = result;
  const text = t(`ticket.filled.${fill.side}`, {
    shares: decimal(fill.shares_micros, lang),
    outcome: outcomeText(market, fill.outcome, t),
    amount: decimal(fill.amount_micros, lang),
    price: decimal(fill.average_price_micros, lang, 4, 4),
  });
  const fee = fill.fee_micros > 0 ? ` ${t("ticket.fee", { fee: decimal(fill.fee_micros, lang) })}` : "";
  return `${text}${fee}${result.partial ? ` ${t("ticket.partial")}` : ""}`;
}

/** A price a person may start a limit of their own from. */
export const suggestedLimit = (form: Form, price: number, lang: Lang): string =>
  decimal(Math.min(ONE - 1, Math.max(1, price + (form.side === "buy" ? 20_000 : -20_000))), lang, 2, 4);
