/** The list of markets: links, so that the browser's own ways of moving work. */
import "./markets.css";
import type { Lang, Translate } from "../i18n/i18n";
import { ordered, type Live } from "../model/live";
import type { Market } from "../model/model";
import type { Component } from "../model/state";
import { h, label, setAttribute, setChildren, setHidden, setText } from "../ui/dom";
import { row } from "./row";

/** Builds a row and returns how to draw it. */
function marketRow(id: string) {
  const title = h("span", { class: "row-title" });
  const state = h("span", { class: "pill" });
  const percent = h("strong", { class: "row-percent" });
  const price = h("span", { class: "muted" });
  const bar = h("span", { class: "bar", "aria-hidden": "true" }, h("span", {}));
  const facts = (["twap", "depth", "volume"] as const).map((name) => {
    const value = h("span", { class: "num" });
    return { name, value, element: h("span", { class: "fact" }, label("span", `fact.${name}`, { class: "muted" }), value) };
  });
  const link = h("a", { href: `#${id}`, class: "row" },
    title,
    h("span", { class: "row-price" }, percent, price),
    bar,
    h("span", { class: "row-facts" }, state, ...facts.map((f) => f.element)),
  );
  let drawn: Market | null = null;
  let drawnIn: Lang | null = null;
  return {
    element: h("li", {}, link),
    draw(m: Market, selected: boolean, lang: Lang, t: Translate) {
      setAttribute(link, "aria-current", selected ? "true" : null);
      if (drawn === m && drawnIn === lang) return;
      if (drawnIn !== lang) for (const f of facts) setText(f.element.firstChild as HTMLElement, t(`fact.${f.name}`));
      drawn = m;
      drawnIn = lang;
      const text = row(m, lang, t);
      setText(title, text.title);
      setText(state, text.state);
      setAttribute(state, "data-state", m.state);
      setHidden(state, m.state === "open"); // the rule; only the exception is worth a word
      setText(percent, text.percent);
      setText(price, text.price);
      setAttribute(link, "aria-label", `${text.name}, ${text.state}`);
      bar.style.setProperty("--share", text.share);
      for (const f of facts) setText(f.value, text[f.name]);
    },
  };
}

export function markets(): Component {
  const rows = new Map<string, ReturnType<typeof marketRow>>();
  const items = h("ul", { class: "rows" });
  const none = h("p", { class: "muted empty" });
  let order: Market[] = [];
  let drawn: Live["markets"] | null = null;

  return {
    element: h("section", { class: "card markets", "aria-labelledby": "markets-title" },
      label("h2", "markets.title", { id: "markets-title" }), none, items),
    draw({ live, loaded, selected, lang }, t) {
      setHidden(none, live.markets.size > 0);
      setText(none, t(loaded ? "markets.empty" : "markets.loading"));
      if (drawn !== live.markets) {
        order = ordered(live.markets);
        drawn = live.markets;
        for (const id of rows.keys()) if (!live.markets.has(id)) rows.delete(id);
        for (const m of order) if (!rows.has(m.market)) rows.set(m.market, marketRow(m.market));
        setChildren(items, order.map((m) => (rows.get(m.market) as ReturnType<typeof marketRow>).element));
      }
      for (const m of order) rows.get(m.market)?.draw(m, m.market === selected, lang, t);
    },
  };
}
