/** The figures of one outcome. */
import type { Lang } from "../i18n/i18n";
import type { Market, Outcome } from "../model/model";
import { decimal, percent } from "../money/money";

/** Averages over time, the best of the book, and the credits that move the price by two points. */
export const FACTS = ["twap1", "twap5", "twap15", "bid", "ask", "depth"] as const;

/** Texts in the order of FACTS; a dash where there is nothing to say. */
export function factTexts(m: Market, outcome: Outcome, lang: Lang): string[] {
  const o = m.outcomes.find((x) => x.outcome === outcome);
  if (!o) return FACTS.map(() => "–");
  const price = (v: number | null) => (v === null ? "–" : decimal(v, lang, 4, 4));
  return [
    percent(o.twap_1m_micros, lang), percent(o.twap_micros, lang), percent(o.twap_15m_micros, lang),
    price(o.best_bid_micros), price(o.best_ask_micros), decimal(o.depth_micros, lang, 0, 0),
  ];
}
