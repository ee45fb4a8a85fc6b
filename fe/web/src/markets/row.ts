/** What a market's row says, in words and digits. */
import type { Lang, Translate } from "../i18n/i18n";
import { leading, type Market, type Outcome } from "../model/model";
import { decimal, ONE, percent } from "../money/money";

export interface Row {
  readonly title: string;
  readonly name: string; // for those who hear the page
  readonly percent: string;
  readonly price: string;
  readonly share: string; // of the bar that is the leading outcome, 0..1
  readonly twap: string;
  readonly depth: string;
  readonly volume: string;
  readonly state: string;
}

/** An outcome as the market calls it. */
export function outcomeText(m: Market | undefined, outcome: Outcome, t: Translate): string {
  switch (outcome) {
    case "YES":
    case "NO":
    case "LONG":
    case "SHORT":
      return t(`outcome.${outcome}`);
    default:
      return m?.outcomes.find((o) => o.outcome === outcome)?.label ?? outcome;
  }
}

export function stateText(m: Market, t: Translate): string {
  return t(`state.${m.state}`, { outcome: m.outcome ? outcomeText(m, m.outcome, t) : "–" });
}

export function row(m: Market, lang: Lang, t: Translate): Row {
  const first = leading(m);
  const price = first?.price_micros ?? 0;
  const chance = percent(price, lang);
  const name = first ? outcomeText(m, first.outcome, t) : "–";
  return {
    title: m.title,
    name: t("markets.row", { title: m.title, outcome: name, percent: chance }),
    percent: m.outcomes.length > 2 ? `${name} ${chance}` : chance,
    price: decimal(price, lang, 3, 3),
    share: (price / ONE).toFixed(4),
    twap: percent(first?.twap_micros ?? 0, lang),
    depth: decimal(first?.depth_micros ?? 0, lang, 0, 0),
    volume: decimal(m.volume_micros, lang, 0, 0),
    state: stateText(m, t),
  };
}
