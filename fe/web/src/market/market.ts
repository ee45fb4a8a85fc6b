/** The market that was chosen: its probability, its price trail and its figures. */
import "./market.css";
import { day } from "../i18n/i18n";
import type { Live } from "../model/live";
import { priceOf } from "../model/model";
import type { Component, State } from "../model/state";
import { stateText } from "../markets/row";
import { count, decimal, ONE, percent } from "../money/money";
import { h, label, setAttribute, setHidden, setText, svg } from "../ui/dom";
import { HEIGHT, trailPoints, WIDTH } from "./trail";

const FACTS = ["twap", "depth", "volume", "trades", "closes"] as const;

/** The two outcomes: probability and price say the same in two ways. */
function outcomePrices() {
  const parts = (["YES", "NO"] as const).map((outcome) => {
    const chance = h("strong", { class: "chance", "data-testid": `chance-${outcome}` });
    const price = h("span", { class: "muted" });
    return { outcome, chance, price, element: h("div", { class: "outcome", "data-outcome": outcome }, label("span", `outcome.${outcome}`), chance, price) };
  });
  return { parts, element: h("div", { class: "outcomes" }, ...parts.map((p) => p.element)) };
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
      for (const p of prices.parts) {
        setText(p.chance, percent(priceOf(m, p.outcome), lang));
        setText(p.price, t("market.per", { price: decimal(priceOf(m, p.outcome), lang, 4, 4) }));
      }
      bar.style.setProperty("--share", (priceOf(m, "YES") / ONE).toFixed(4));
      setAttribute(bar, "aria-valuenow", ((100 * priceOf(m, "YES")) / ONE).toFixed(1));
      setAttribute(line, "points", trailPoints(live.trails.get(m.market) ?? [], Date.now()));
      const texts = [
        percent(m.twap_micros, lang),
        decimal(m.depth_micros, lang, 0, 0),
        decimal(m.volume_micros, lang, 0, 0),
        count(m.trades, lang),
        m.close_at ? day(m.close_at, lang) : t("fact.never"),
      ];
      values.forEach((dd, i) => setText(dd, texts[i] ?? ""));
    },
  };
}
