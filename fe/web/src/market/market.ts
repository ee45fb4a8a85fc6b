/** The market that was chosen: its probability, its price trail and its figures. */
import "./market.css";
import { day, type Lang, type Translate } from "../i18n/i18n";
import type { Live } from "../model/live";
import { leading, type Market, type Outcome } from "../model/model";
import type { Component, State } from "../model/state";
import { outcomeText, stateText } from "../markets/row";
import { count, decimal, ONE, percent } from "../money/money";
import { h, label, setAttribute, setChildren, setHidden, setText, svg } from "../ui/dom";
import { HEIGHT, trailPoints, WIDTH } from "./trail";

const FACTS = ["twap", "depth", "volume", "trades", "closes"] as const;

function outcomePart(outcome: Outcome) {
  const name = h("span", {});
  const chance = h("strong", { class: "chance", "data-testid": `chance-${outcome}` });
  const price = h("span", { class: "muted" });
  return { name, chance, price, element: h("div", { class: "outcome", "data-outcome": outcome }, name, chance, price) };
}

/** The outcomes of a market: probability and price say the same in two ways. */
function outcomePrices() {
  const parts = new Map<Outcome, ReturnType<typeof outcomePart>>();
  const element = h("div", { class: "outcomes" });
  let shown = "";
  return {
    element,
    draw(m: Market, lang: Lang, t: Translate) {
      const list = m.outcomes.map((o) => {
        const part = parts.get(o.outcome) ?? outcomePart(o.outcome);
        parts.set(o.outcome, part);
        setText(part.name, outcomeText(m, o.outcome, t));
        setText(part.chance, percent(o.price_micros, lang));
        setText(part.price, t("market.per", { price: decimal(o.price_micros, lang, 4, 4) }));
        return part.element;
      });
      const names = m.outcomes.map((o) => o.outcome).join();
      if (names === shown) return;
      shown = names;
      setChildren(element, list);
    },
  };
}

export function market(): Component {
  const title = h("h2", { id: "market", tabindex: "-1" });
  const pill = h("span", { class: "pill" });
  const prices = outcomePrices();
  const bar = h("div", { class: "bar wide", role: "meter", "aria-valuemin": "0", "aria-valuemax": "100", "data-t-label": "market.probability" }, h("span", {}));
  const line = svg("polyline", { class: "trail-line" });
  const trail = svg("svg", { class: "trail", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "data-t-label": "market.trail" }, line);
  const values = FACTS.map(() => h("dd", { class: "num" }));
  const facts = h("dl", { class: "facts" }, ...FACTS.map((name, i) => h("div", {}, label("dt", `fact.${name}`), values[i] as HTMLElement)));
  const pick = label("p", "market.pick", { class: "muted empty" });
  const body = h("div", {}, h("div", { class: "market-head" }, title, pill), prices.element, bar, trail, facts);
  let drawn: { live: Live; selected: string | null; lang: State["lang"] } | null = null;

  return {
    element: h("section", { class: "card market", "aria-labelledby": "market" }, pick, body),
    draw({ live, selected, lang }, t) {
      if (drawn?.live === live && drawn.selected === selected && drawn.lang === lang) return;
      drawn = { live, selected, lang };
      const m = live.markets.get(selected ?? "");
      setHidden(pick, m !== undefined);
      setHidden(body, m === undefined);
      if (!m) return;
      setText(title, m.title);
      setText(pill, stateText(m, t));
      setAttribute(pill, "data-state", m.state);
      prices.draw(m, lang, t);
      const first = leading(m);
      const chance = first?.price_micros ?? 0;
      bar.style.setProperty("--share", (chance / ONE).toFixed(4));
      setAttribute(bar, "aria-valuenow", ((100 * chance) / ONE).toFixed(1));
      setAttribute(line, "points", trailPoints(live.trails.get(m.market) ?? [], Date.now()));
      const texts = [
        percent(first?.twap_micros ?? 0, lang),
        decimal(first?.depth_micros ?? 0, lang, 0, 0),
        decimal(m.volume_micros, lang, 0, 0),
        count(m.trades, lang),
        m.close_at ? day(m.close_at, lang) : t("fact.never"),
      ];
      values.forEach((dd, i) => setText(dd, texts[i] ?? ""));
    },
  };
}
