/** From what a person filled in to a quote's address and an order's body. */
import type { MessageKey, Lang } from "../i18n/i18n";
import { ONE, parse, reserve } from "../money/money";
import { held } from "../account/positions";
import type { Account, Fill, Outcome, Placed, Quote, Side, Tif } from "../model/model";

/** At the market's price at once, or at a price of one's own. */
export const ORDER_KINDS = ["market", "limit"] as const;
export type OrderKind = (typeof ORDER_KINDS)[number];

/** Of a market order: micros that the price may go beyond the quote, or no bound. */
export const PROTECTIONS = ["10000", "20000", "50000", "none"] as const;
export type Protection = (typeof PROTECTIONS)[number];

export interface Form {
  readonly market: string;
  readonly side: Side;
  readonly outcome: Outcome;
  readonly kind: OrderKind;
  readonly amount: string;
  readonly protect: Protection;
  readonly limit: string;
  readonly tif: Tif; // of a limit order
  readonly expires: string; // of tif gtd: local date and time, as an input of the page gives it
  readonly post: boolean; // only to wait
}

/** What is typed, read. Limit and end are those of a limit order, null of a market order. */
export interface Terms {
  readonly ok: true;
  readonly micros: number;
  readonly limit: number | null;
  readonly expires: string | null; // RFC 3339
}

export type Field = "amount" | "limit" | "expires";
export type Reading = Terms | { readonly ok: false; readonly field: Field; readonly why: MessageKey };

/** Whether what is left of the order waits in the book. */
export const rests = (form: Form): boolean => form.kind === "limit" && (form.tif === "gtc" || form.tif === "gtd");

/** Reads the fields that are typed; `now` in ms is what an end has to come after. */
export function read(form: Form, lang: Lang, now: number): Reading {
  const amount = parse(form.amount, lang);
  if (!amount.ok) return { ok: false, field: "amount", why: `input.${amount.why}` };
  if (form.kind === "market") return { ok: true, micros: amount.micros, limit: null, expires: null };
  const limit = parse(form.limit, lang);
  if (!limit.ok) return { ok: false, field: "limit", why: limit.why === "range" ? "input.price" : `input.${limit.why}` };
  if (limit.micros >= ONE) return { ok: false, field: "limit", why: "input.price" };
  const terms = { ok: true, micros: amount.micros, limit: limit.micros } as const;
  if (form.tif !== "gtd") return { ...terms, expires: null };
  const at = Date.parse(form.expires); // without a zone: the reader's
  if (Number.isNaN(at)) return { ok: false, field: "expires", why: "input.empty.date" };
  if (at <= now) return { ok: false, field: "expires", why: "input.past" };
  return { ...terms, expires: new Date(at).toISOString() };
}

/** A buy is sized in credits, a sale in shares. */
const size = (side: Side, micros: number) => (side === "buy" ? { amount_micros: micros } : { shares_micros: micros });

export interface OrderBody {
  readonly market: string;
  readonly outcome: Outcome;
  readonly side: Side;
  readonly tif: Tif;
  readonly amount_micros?: number;
  readonly shares_micros?: number;
  readonly limit_price_micros?: number;
  readonly expires_at?: string;
  readonly post_only?: true;
}

/** The order as it would be sent; `limit` is the price that it may reach, null if any. */
function body(form: Form, terms: Terms, limit: number | null): OrderBody {
  const { market, outcome, side } = form;
  return {
    market, outcome, side,
    // A market order is immediate-or-cancel: what its bound does not allow stays with the trader.
    tif: form.kind === "market" ? "ioc" : form.tif,
    ...size(side, terms.micros),
    ...(limit === null ? {} : { limit_price_micros: limit }),
    ...(terms.expires === null ? {} : { expires_at: terms.expires }),
    ...(form.post && rests(form) ? { post_only: true } : {}),
  };
}

/** Address of the quote. The bound of a market order is no part of it: it follows from it. */
export function quotePath(form: Form, terms: Terms): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(body(form, terms, terms.limit))) query.set(name, String(value));
  return `/v1/quotes?${query}`;
}

/** The order for what was quoted. */
export const orderBody = (form: Form, terms: Terms, quote: Quote): OrderBody => body(form, terms, limitPrice(form, terms, quote));

/** The price that the order may reach; null if any. */
export function limitPrice(form: Form, terms: Terms, quote: Quote): number | null {
  if (form.kind === "limit") return terms.limit;
  if (form.protect === "none") return null;
  const room = Number(form.protect);
  const price = quote.price_after_micros + (form.side === "buy" ? room : -room);
  return Math.min(ONE - 1, Math.max(1, price));
}

/** Credits that are set aside for what would wait: the whole price of a buy, nothing of a sale. */
export const reserved = (quote: Quote, limit: number | null): number => (quote.side === "buy" ? reserve(quote.rests_micros, limit ?? 0) : 0);

/**
 * The code that the order would be refused with for what the trader holds; null
 * if it is covered or not known. A quote looks at the market alone.
 */
export function shortOf(quote: Quote, limit: number | null, account: Account | null): "insufficient_funds" | "insufficient_shares" | null {
  if (!account) return null;
  if (quote.side === "buy") {
    return quote.amount_micros + quote.fee_micros + reserved(quote, limit) > account.available_micros ? "insufficient_funds" : null;
  }
  return quote.shares_micros + quote.rests_micros > held(account, quote.market, quote.outcome) ? "insufficient_shares" : null;
}

/**
 * Whether part of the order was neither filled nor waits. A buy's last credits may
 * be too few for a whole micro-share, which is no part that a person would miss.
 */
export function isPartial(order: OrderBody, { fill, rest }: Placed): boolean {
  if (rest || !fill) return false;
  if (order.shares_micros !== undefined) return fill.shares_micros < order.shares_micros;
  return fill.amount_micros + ONE / 10_000 < (order.amount_micros ?? 0);
}

/** A fill that is one: an order may have met own orders only. */
export const filled = (placed: Placed): Fill | null => (placed.fill && placed.fill.shares_micros > 0 ? placed.fill : null);
