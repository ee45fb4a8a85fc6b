/** What a line of the book says. */
import type { Lang } from "../i18n/i18n";
import type { Level } from "../model/model";
import { count, decimal, percent } from "../money/money";

export interface LevelWords {
  readonly price: string;
  readonly percent: string;
  readonly shares: string;
  readonly orders: string;
  readonly share: string; // of the bar behind it, 0..1
}

/** One side of the book; the bars are measured against the largest level of both. */
export function levelWords(levels: readonly Level[], largest: number, lang: Lang): LevelWords[] {
  return levels.map((l) => ({
    price: decimal(l.price_micros, lang, 4, 6),
    percent: percent(l.price_micros, lang),
    shares: decimal(l.shares_micros, lang, 2, 2),
    orders: count(l.orders, lang),
    share: (l.shares_micros / Math.max(1, largest)).toFixed(4),
  }));
}

/** The largest size of any level. */
export const largest = (...sides: readonly (readonly Level[])[]): number => Math.max(0, ...sides.flat().map((l) => l.shares_micros));
