/** What a market's row says, in words and digits. */
import type { Lang, Translate } from "../i18n/i18n";
import { leading, priceOf, type Market, type Outcome } from "../model/model";
import { between, decimal, ONE, percent } from "../money/money";

export interface Row {
  readonly title: string;
  readonly name: string; // for those who hear the page
  readonly percent: string; // of a scalar market the value that its price stands for
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

/** The value that the price of LONG stands for; of an ended market the one that it paid by. */
export function valueText(m: Market, lang: Lang): string {
  return between(m.min ?? 0, m.max ?? 0, priceOf(m, "LONG"), lang);
}

export function stateText(m: Market, lang: Lang, t: Translate): string {
  const outcome = m.kind === "scalar" ? valueText(m, lang) : m.outcome ? outcomeText(m, m.outcome, t) : "–";
  return t(`state.${m.state}`, { outcome });
}

/** What a market says at a glance: the value of a scalar one, the likeliest of many with its name, else the chance of the first. */
function glance(m: Market, name: string, chance: string, lang: Lang): string {
  switch (m.kind) {
    case "scalar":
      return valueText(m, lang);
    case "categorical":
      return `${name} ${chance}`;
    case "binary":
      return chance;
  }
}

export function row(m: Market, lang: Lang, t: Translate): Row {
  const first = leading(m);
  const price = first?.price_micros ?? 0;
  const chance = percent(price, lang);
  const name = first ? outcomeText(m, first.outcome, t) : "–";
  return {
    title: m.title,
    name: m.kind === "scalar"
      ? t("markets.row.value", { title: m.title, value: valueText(m, lang) })
      : t("markets.row", { title: m.title, outcome: name, percent: chance }),
    percent: glance(m, name, chance, lang),
    price: decimal(price, lang, 3, 3),
    share: (price / ONE).toFixed(4),
    twap: percent(first?.twap_micros ?? 0, lang),
    depth: decimal(first?.depth_micros ?? 0, lang, 0, 0),
    volume: decimal(m.volume_micros, lang, 0, 0),
    state: stateText(m, lang, t),
  };
}
