/** The nouns of the panel, in the words of the API. Every amount is in micros. */
import { int, list, matching, maybe, oneOf, record, text, type Check } from "./decode";

/** YES and NO of a binary market, LONG and SHORT of a scalar one, O1 to O64 of a categorical one. */
export type Outcome = string;

export const SIDES = ["buy", "sell"] as const;
export type Side = (typeof SIDES)[number];

export const MARKET_STATES = [
  "open", "frozen", "paused", "draft", "closed", "proposed", "disputed", "settling", "resolved", "canceled",
] as const;
export type MarketState = (typeof MARKET_STATES)[number];

const outcome = matching(/^(YES|NO|LONG|SHORT|O([1-9]|[1-5]\d|6[0-4]))$/, "an outcome");
const side = oneOf(...SIDES);

const outcomeState = record({
  outcome,
  label: maybe(text),
  price_micros: int,
  twap_micros: int,
  depth_micros: int,
});
export type OutcomeState = ReturnType<typeof outcomeState>;

const marketShape = {
  market: text,
  title: text,
  state: oneOf(...MARKET_STATES),
  close_at: maybe(text),
  outcomes: list(outcomeState),
  volume_micros: int,
  trades: int,
  outcome: maybe(outcome),
};

export const market = record(marketShape);
export type Market = ReturnType<typeof market>;

/** Price of an outcome, in micros; of an ended market what a share has paid. */
export function priceOf(m: Market, of: Outcome): number {
  return m.outcomes.find((o) => o.outcome === of)?.price_micros ?? 0;
}

/** The outcome that stands for a market: the first of two, else the likeliest. */
export function leading(m: Market): OutcomeState | undefined {
  if (m.outcomes.length <= 2) return m.outcomes[0];
  return m.outcomes.reduce((best, o) => (o.price_micros > best.price_micros ? o : best));
}

export const snapshotEvent = record({ seq: int, markets: list(market) });
export const marketEvent = record({ seq: int, ...marketShape });
export const quoteEvent = record({
  seq: int,
  market: text,
  outcomes: list(outcomeState),
  decided_at: text,
});
export const tradeEvent = record({
  seq: int,
  market: text,
  outcome,
  side,
  amount_micros: int,
  shares_micros: int,
  average_price_micros: int,
  decided_at: text,
});
export type Trade = ReturnType<typeof tradeEvent>;

export type StreamEvent =
  | { readonly kind: "snapshot"; readonly body: ReturnType<typeof snapshotEvent> }
  | { readonly kind: "market"; readonly body: ReturnType<typeof marketEvent> }
  | { readonly kind: "quote"; readonly body: ReturnType<typeof quoteEvent> }
  | { readonly kind: "trade"; readonly body: Trade };

/** Reads an event of the stream; null for a heartbeat or a kind not known here. */
export function streamEvent(kind: string, data: string): StreamEvent | null {
  switch (kind) {
    case "snapshot":
      return { kind, body: snapshotEvent(JSON.parse(data), kind) };
    case "market":
      return { kind, body: marketEvent(JSON.parse(data), kind) };
    case "quote":
      return { kind, body: quoteEvent(JSON.parse(data), kind) };
    case "trade":
      return { kind, body: tradeEvent(JSON.parse(data), kind) };
    default:
      return null;
  }
}

export const me = record({ principal: text, roles: list(text), account: maybe(text) });
export type Me = ReturnType<typeof me>;

export const account = record({
  seq: int,
  account: text,
  available_micros: int,
  positions: list(record({ market: text, outcome, shares_micros: int, reserved_micros: maybe(int) })),
});
export type Account = ReturnType<typeof account>;

export const quote = record({
  seq: int,
  market: text,
  outcome,
  side,
  amount_micros: int,
  shares_micros: int,
  fee_micros: int,
  average_price_micros: int,
  price_before_micros: int,
  price_after_micros: int,
  code: text,
});
export type Quote = ReturnType<typeof quote>;

const filled = record({
  order: text,
  market: text,
  outcome,
  side,
  amount_micros: int,
  shares_micros: int,
  fee_micros: int,
  average_price_micros: int,
  price_after_micros: int,
});
export type Fill = ReturnType<typeof filled> & { readonly seq: number };

const decision = record({ seq: int, code: text, events: list((v) => v as { readonly type?: unknown }) });

/** Reads the fill out of the decision that answers an order. */
export const fill: Check<Fill> = (value, path) => {
  const { seq, events } = decision(value, path);
  const at = events.findIndex((e) => e?.type === "order_filled");
  return { seq, ...filled(events[at], `${path}.events[${at}]`) };
};

export const panelConfig = record({ rum_url: maybe(text), env: text });
