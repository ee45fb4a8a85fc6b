/** What the lines of the standings say. */
import type { Lang, Translate } from "../i18n/i18n";
import type { Standing, Standings } from "../model/model";
import { decimal } from "../money/money";

/** A profit with its sign: nobody should have to look for a loss. */
export const signed = (micros: number, lang: Lang) => `${micros > 0 ? "+" : ""}${decimal(micros, lang, 2, 2)}`;

/** The lines to show: those of the top, and one's own behind them if it is not among them. */
export function shown(s: Standings): readonly Standing[] {
  const own = s.own;
  return own && !s.standings.some((x) => x.account === own.account) ? [...s.standings, own] : s.standings;
}

export function line(x: Standing, own: string | null, lang: Lang, t: Translate) {
  return { rank: String(x.rank), who: x.account === own ? t("season.you") : x.account, profit: signed(x.profit_micros, lang), mine: x.account === own };
}
