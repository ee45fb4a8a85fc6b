/** From what a person filled in to a quote's address and an order's body. */
import type { MessageKey, Lang } from "../i18n/i18n";
import { ONE, parse } from "../money/money";
import { held } from "../account/positions";
import type { Account, Fill, Outcome, Quote, Side } from "../model/model";

/** Micros that the price may go beyond the quote, or a limit of one's own, or none. */
export const PROTECTIONS = ["10000", "20000", "50000", "custom", "none"] as const;
export type Protection = (typeof PROTECTIONS)[number];

export interface Form {
  readonly market: string;
  readonly side: Side;
  readonly outcome: Outcome;
  readonly amount: string;
  readonly protect: Protection;
  readonly limit: string;
}

export type Reading =
  | { readonly ok: true; readonly micros: number; readonly limit: number | null }
  | { readonly ok: false; readonly field: "amount" | "limit"; readonly why: MessageKey };

/** Reads the two fields that are typed. */
export function read(form: Form, lang: Lang): Reading {
  const amount = parse(form.amount, lang);
  if (!amount.ok) return { ok: false, field: "amount", why: `input.${amount.why}` };
  if (form.protect !== "custom") return { ok: true, micros: amount.micros, limit: null };
  const limit = parse(form.limit, lang);
  if (!limit.ok) return { ok: false, field: "limit", why: limit.why === "range" ? "input.price" : `input.${limit.why}` };
  if (limit.micros >= ONE) return { ok: false, field: "limit", why: "input.price" };
  return { ok: true, micros: amount.micros, limit: limit.micros };
}

/** A buy is sized in credits, a sale in shares. */
const size = (side: Side, micros: number) => (side === "buy" ? { amount_micros: micros } : { shares_micros: micros });

/** Address of the quote; only a limit of one's own belongs to it, the others follow from it. */
export function quotePath(form: Form, micros: number, limit: number | null): string {
  const query = new URLSearchParams({ market: form.market, outcome: form.outcome, side: form.side });
  for (const [name, value] of Object.entries(size(form.side, micros))) query.set(name, String(value));
  if (limit !== null) query.set("limit_price_micros", String(limit));
  return `/v1/quotes?${query}`;
}

/** The price that the order may reach; null if any. */
export function limitPrice(form: Form, custom: number | null, quote: Quote): number | null {
  if (form.protect === "none") return null;
  if (form.protect === "custom") return custom;
  const room = Number(form.protect);
  const price = quote.price_after_micros + (form.side === "buy" ? room : -room);
  return Math.min(ONE - 1, Math.max(1, price));
}

export interface OrderBody {
  readonly market: string;
  readonly outcome: Outcome;
  readonly side: Side;
  readonly tif: "ioc";
  readonly amount_micros?: number;
  readonly shares_micros?: number;
  readonly limit_price_micros?: number;
}

/** Immediate-or-cancel: what the limit does not allow stays with the trader. */
export function orderBody(form: Form, micros: number, limit: number | null): OrderBody {
  const { market, outcome, side } = form;
  return { market, outcome, side, tif: "ioc", ...size(side, micros), ...(limit === null ? {} : { limit_price_micros: limit }) };
}

/**
 * The code that the order would be refused with for what the trader holds; null
 * if it is covered or not known. A quote looks at the market alone.
 */
export function shortOf(quote: Quote, account: Account | null): "insufficient_funds" | "insufficient_shares" | null {
  if (!account) return null;
  if (quote.side === "buy") return quote.amount_micros + quote.fee_micros > account.available_micros ? "insufficient_funds" : null;
  return quote.shares_micros > held(account, quote.market, quote.outcome) ? "insufficient_shares" : null;
}

/**
 * Whether part of the order was left. A buy's last credits may be too few for a
 * whole micro-share, which is no part that a person would miss.
 */
export function isPartial(body: OrderBody, fill: Fill): boolean {
  if (body.shares_micros !== undefined) return fill.shares_micros < body.shares_micros;
  return fill.amount_micros + ONE / 10_000 < (body.amount_micros ?? 0);
}
