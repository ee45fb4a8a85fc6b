/**
 * What the stream has told so far, as a fold over its events. Events come in
 * batches, so that a busy market costs one copy per batch and not one per trade.
 */
import { MARKET_STATES, type Market, type OutcomeState, type StreamEvent, type Trade } from "./model";

/** Trades kept per market: what the list shows. */
export const TRADES_KEPT = 12;

/** Points of the price trail, and the least time between two of them. */
export const TRAIL_POINTS = 120;
export const TRAIL_STEP_MS = 1000;

interface TrailPoint {
  readonly at: number; // ms
  readonly prices: readonly number[]; // of the outcomes, in their order, micros
}

export interface Live {
  readonly markets: ReadonlyMap<string, Market>;
  /** Newest first. */
  readonly trades: ReadonlyMap<string, readonly Trade[]>;
  /** Oldest first. */
  readonly trails: ReadonlyMap<string, readonly TrailPoint[]>;
  /** The snapshot's sequence: it already counts every trade up to here. */
  readonly snapshotSeq: number;
}

export const NOTHING: Live = { markets: new Map(), trades: new Map(), trails: new Map(), snapshotSeq: 0 };

interface Draft {
  markets: Map<string, Market>;
  trades: Map<string, readonly Trade[]>;
  trails: Map<string, readonly TrailPoint[]>;
  snapshotSeq: number;
}

/** Returns the state after the events; `now` in ms dates what carries no time. */
export function fold(live: Live, events: readonly StreamEvent[], now: number): Live {
  if (events.length === 0) return live;
  const next: Draft = {
    markets: new Map(live.markets),
    trades: new Map(live.trades),
    trails: new Map(live.trails),
    snapshotSeq: live.snapshotSeq,
  };
  for (const event of events) apply(next, event, now);
  return next;
}

function apply(next: Draft, { kind, body }: StreamEvent, now: number): void {
  if (kind === "snapshot") {
    next.markets = new Map(body.markets.map((m) => [m.market, m]));
    next.snapshotSeq = body.seq;
    for (const m of body.markets) trail(next, m.market, now, m.outcomes);
    return;
  }
  if (kind === "trade") {
    // A resumed stream repeats trades that the snapshot counts already: they
    // belong into the list, not into the volume.
    const before = next.trades.get(body.market) ?? [];
    next.trades.set(body.market, [body, ...before].slice(0, TRADES_KEPT));
    const m = next.markets.get(body.market);
    if (m && body.seq > next.snapshotSeq) {
      next.markets.set(m.market, { ...m, volume_micros: m.volume_micros + body.amount_micros, trades: m.trades + 1 });
    }
    return;
  }
  if (body.seq <= next.snapshotSeq) return;
  if (kind === "market") {
    const { seq: _, ...m } = body;
    next.markets.set(m.market, m);
    trail(next, m.market, now, m.outcomes);
    return;
  }
  const m = next.markets.get(body.market);
  if (!m) return;
  next.markets.set(m.market, { ...m, outcomes: body.outcomes });
  trail(next, m.market, Date.parse(body.decided_at) || now, body.outcomes);
}

function trail(next: Draft, market: string, at: number, outcomes: readonly OutcomeState[]): void {
  const prices = outcomes.map((o) => o.price_micros);
  const points = next.trails.get(market) ?? [];
  const last = points.at(-1);
  const before = points.at(-2);
  // Within a step the last point moves; so a burst is one point, at its end.
  const kept = last && before && last.at - before.at < TRAIL_STEP_MS ? points.slice(0, -1) : points;
  next.trails.set(market, [...kept, { at, prices }].slice(-TRAIL_POINTS));
}

/** Open markets first, then by id, which is the order they were opened in. */
export function ordered(markets: ReadonlyMap<string, Market>): Market[] {
  const number = (m: Market) => Number(m.market.replace(/\D+/, "")) || 0;
  const rank = (m: Market) => MARKET_STATES.indexOf(m.state);
  return [...markets.values()].sort((a, b) => rank(a) - rank(b) || number(a) - number(b));
}
