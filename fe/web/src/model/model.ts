/** The nouns of the panel, in the words of the API. Every amount is in micros. */
import { DecodeError, flag, int, list, matching, maybe, oneOf, record, text, type Check } from "./decode";

/** YES and NO of a binary market, LONG and SHORT of a scalar one, O1 to O64 of a categorical one. */
export type Outcome = string;

export const SIDES = ["buy", "sell"] as const;
export type Side = (typeof SIDES)[number];

/** Good till cancelled, good till a date, immediate or cancel, fill or kill. */
export const TIFS = ["gtc", "gtd", "ioc", "fok"] as const;
export type Tif = (typeof TIFS)[number];

export const MARKET_KINDS = ["binary", "categorical", "scalar"] as const;

/** How an ended market pays: by an outcome, by one with a void, by its last average prices, or back. */
export const CANCELS = ["price", "refund"] as const;
export const ENDINGS = ["outcome", "void", "price", "refund"] as const;

export const MARKET_STATES = [
  "open", "frozen", "paused", "draft", "closed", "proposed", "disputed", "settling", "resolved", "canceled",
] as const;
export type MarketState = (typeof MARKET_STATES)[number];

const outcome = matching(/^(YES|NO|LONG|SHORT|O([1-9]|[1-5]\d|6[0-4]))$/, "an outcome");
const side = oneOf(...SIDES);
const tif = oneOf(...TIFS);

const outcomeState = record({
  outcome,
  label: maybe(text),
  price_micros: int,
  twap_micros: int, // over five minutes
  twap_1m_micros: int,
  twap_15m_micros: int,
  depth_micros: int,
  best_bid_micros: maybe(int),
  best_ask_micros: maybe(int),
});
export type OutcomeState = ReturnType<typeof outcomeState>;

/** What was proposed: an outcome, of a scalar market a value in millionths (null is 0), or NONE and how the market is cancelled. */
const proposal = record({ outcome: matching(/^(YES|NO|LONG|SHORT|NONE|O([1-9]|[1-5]\d|6[0-4]))$/, "an outcome or NONE"), cancel: maybe(oneOf(...CANCELS)), value: maybe(int), proposed_at: text, final_at: text, approvals: int, approvals_needed: int, stands: maybe(flag) });
export type Proposal = ReturnType<typeof proposal>;

/** What was added to a market's title. The text is in the document of one market alone, and absent once it is erased. */
const clarification = record({ at: text, text_id: text, text: maybe(text) });
export type Clarification = ReturnType<typeof clarification>;

const marketShape = {
  market: text,
  title: text,
  kind: oneOf(...MARKET_KINDS),
  state: oneOf(...MARKET_STATES),
  min: maybe(int), // of a scalar market, in millionths; null is 0
  max: maybe(int),
  close_at: maybe(text),
  outcomes: list(outcomeState),
  proposal: maybe(proposal),
  ending: maybe(oneOf(...ENDINGS)),
  volume_micros: int,
  trades: int,
  outcome: maybe(outcome),
  clarifications: maybe(list(clarification)),
};

export const market = record(marketShape);
export type Market = ReturnType<typeof market>;

/** Price of an outcome, in micros; of an ended market what a share has paid. */
export function priceOf(m: Market, of: Outcome): number {
  return m.outcomes.find((o) => o.outcome === of)?.price_micros ?? 0;
}

/** The outcomes as a market shows them: those of a categorical one by price, the dearest first, else as they come. */
export function ranked(m: Market): readonly OutcomeState[] {
  return m.kind === "categorical" ? [...m.outcomes].sort((a, b) => b.price_micros - a.price_micros) : m.outcomes;
}

/** The outcome that stands for a market: the likeliest of a categorical one, else the first. */
export function leading(m: Market): OutcomeState | undefined {
  if (m.kind !== "categorical" || m.outcomes.length === 0) return m.outcomes[0];
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
  reserved_micros: int, // for open orders
  limited_until: maybe(text), // a moderator lets it place no orders before
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
  rests_micros: int, // shares that would wait in the book
  code: text,
});
export type Quote = ReturnType<typeof quote>;

const level = record({ price_micros: int, shares_micros: int, orders: int });
export type Level = ReturnType<typeof level>;

/** What waits in the book of an outcome: bids from the highest, asks from the lowest. */
export const book = record({ seq: int, market: text, outcome, bids: list(level), asks: list(level) });
export type Book = ReturnType<typeof book>;

const openOrder = record({
  order: matching(/^ord_\d+(\.\d+)?$/, "an order"),
  market: text,
  outcome,
  side,
  tif,
  limit_price_micros: int,
  shares_micros: int, // that wait
  filled_micros: int, // while it waited
  expires_at: maybe(text),
});
export type OpenOrder = ReturnType<typeof openOrder>;

export const openOrders = record({ seq: int, orders: list(openOrder) });

export const SEASON_STATES = ["announced", "running", "counting", "ended"] as const;

const season = record({ name: text, state: oneOf(...SEASON_STATES), start: text, end: text });
export type Season = ReturnType<typeof season>;

export const seasons = record({ seasons: list(season) });

const standing = record({ rank: int, account: text, profit_micros: int });
export type Standing = ReturnType<typeof standing>;

/** The top of a season's standings, and one's own: final, or as they are while it runs. */
export const standings = record({ season, final: flag, as_of: text, own: maybe(standing), standings: list(standing) });
export type Standings = ReturnType<typeof standings>;

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
  stopped_by_own_order: maybe(flag),
});
export type Fill = ReturnType<typeof filled>;

const rested = record({ order: text, market: text, outcome, side, limit_price_micros: int, shares_micros: int });
export type Rest = ReturnType<typeof rested>;

/** What became of an order: what it filled at once, and what waits in the book. Not both are null. */
export interface Placed {
  readonly seq: number;
  readonly fill: Fill | null;
  readonly rest: Rest | null;
}

/** A decision on a command, of which only the place is of interest. */
export const decided = record({ seq: int });

const decision = record({ seq: int, events: list((v) => v as { readonly type?: unknown }) });

/** Reads what became of the order out of the decision that answers it. */
export const placed: Check<Placed> = (value, path) => {
  const { seq, events } = decision(value, path);
  const read = <T>(type: string, check: Check<T>): T | null => {
    const at = events.findIndex((e) => e?.type === type);
    return at < 0 ? null : check(events[at], `${path}.events[${at}]`);
  };
  const [fill, rest] = [read("order_filled", filled), read("order_rested", rested)];
  if (!fill && !rest) throw new DecodeError(`${path}.events tell of no order`);
  return { seq, fill, rest };
};

export const panelConfig = record({ rum_url: maybe(text), env: text });
