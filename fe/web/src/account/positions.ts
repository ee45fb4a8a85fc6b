/** A trader's positions with what they are worth at the present prices. */
import type { Live } from "../model/live";
import { priceOf, type Account, type Outcome } from "../model/model";
import { worth } from "../money/money";

export interface Position {
  readonly market: string;
  readonly title: string;
  readonly outcome: Outcome;
  readonly shares: number;
  /** Credits at the last price, in micros; null for a market that is not known. */
  readonly worth: number | null;
}

/** The chosen market's positions first, then by worth. Empty ones are left out. */
export function positions(account: Account, markets: Live["markets"], selected: string | null): Position[] {
  return account.positions
    .filter((p) => p.shares_micros > 0)
    .map((p) => {
      const m = markets.get(p.market);
      return {
        market: p.market,
        title: m?.title ?? p.market,
        outcome: p.outcome,
        shares: p.shares_micros,
        worth: m ? worth(p.shares_micros, priceOf(m, p.outcome)) : null,
      };
    })
    .sort((a, b) => Number(b.market === selected) - Number(a.market === selected) || (b.worth ?? -1) - (a.worth ?? -1));
}

/** Shares of one outcome that the trader can sell: those that wait in open orders are not among them. */
export function held(account: Account | null, market: string, outcome: Outcome): number {
  const p = account?.positions.find((x) => x.market === market && x.outcome === outcome);
  return p ? p.shares_micros - (p.reserved_micros ?? 0) : 0;
}
