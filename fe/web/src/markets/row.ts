/** What a market's row says, in words and digits. */
import type { Lang, Translate } from "../i18n/i18n";
import { priceOf, type Market } from "../model/model";
import { decimal, ONE, percent } from "../money/money";

export interface Row {
  readonly title: string;
  readonly name: string; // for those who hear the page
  readonly percent: string;
  readonly price: string;
  readonly share: string; // of the bar that is yes, 0..1
  readonly twap: string;
  readonly depth: string;
  readonly volume: string;
  readonly state: string;
}

export function stateText(m: Market, t: Translate): string {
  return t(`state.${m.state}`, m.outcome ? { outcome: t(`outcome.${m.outcome}`) } : { outcome: "–" });
}

export function row(m: Market, lang: Lang, t: Translate): Row {
  const price = priceOf(m, "YES");
  const yes = percent(price, lang);
  return {
    title: m.title,
    name: t("markets.row", { title: m.title, percent: yes }),
    percent: yes,
    price: decimal(price, lang, 3, 3),
    share: (price / ONE).toFixed(4),
    twap: percent(m.twap_micros, lang),
    depth: decimal(m.depth_micros, lang, 0, 0),
    volume: decimal(m.volume_micros, lang, 0, 0),
    state: stateText(m, t),
  };
}
