/** The trader's own positions; each leads to its market. */
import "./account.css";
import type { Lang } from "../i18n/i18n";
import type { Live } from "../model/live";
import type { Account } from "../model/model";
import type { Component } from "../model/state";
import { decimal } from "../money/money";
import { h, label, setAttribute, setChildren, setHidden, setText } from "../ui/dom";
import { outcomeText } from "../markets/row";
import { positions } from "./positions";

/** Positions shown; a trader with more finds them in the markets. */
const SHOWN = 12;

function positionRow() {
  const link = h("a", { href: "#" });
  const outcome = h("span", { class: "tag" });
  const shares = h("td", { class: "num" });
  const worth = h("td", { class: "num" });
  return { link, outcome, shares, worth, element: h("tr", {}, h("td", {}, link, " ", outcome), shares, worth) };
}

export function account(): Component {
  const none = label("p", "account.none", { class: "muted empty" });
  const rows = Array.from({ length: SHOWN }, positionRow);
  const body = h("tbody");
  const table = h("table", {},
    h("thead", {}, h("tr", {},
      label("th", "account.market", { scope: "col" }), label("th", "account.shares", { scope: "col", class: "num" }),
      label("th", "account.worth", { scope: "col", class: "num" }))),
    body);
  const element = h("section", { class: "card account", "aria-labelledby": "account-title" }, label("h2", "account.title", { id: "account-title" }), none, table);
  let drawn: [Account | null, Live["markets"], string | null, Lang] | null = null;

  return {
    element,
    draw({ account: own, live, selected, lang }, t) {
      setHidden(element, own === null);
      if (drawn && drawn[0] === own && drawn[1] === live.markets && drawn[2] === selected && drawn[3] === lang) return;
      drawn = [own, live.markets, selected, lang];
      const list = own ? positions(own, live.markets, selected).slice(0, SHOWN) : [];
      setHidden(none, list.length > 0);
      setHidden(table, list.length === 0);
      setChildren(body, rows.slice(0, list.length).map((r) => r.element));
      list.forEach((p, i) => {
        const r = rows[i] as ReturnType<typeof positionRow>;
        setAttribute(r.link, "href", `#${p.market}`);
        setText(r.link, p.title);
        setText(r.outcome, outcomeText(live.markets.get(p.market), p.outcome, t));
        setAttribute(r.outcome, "data-outcome", p.outcome);
        setText(r.shares, decimal(p.shares, lang, 2, 2));
        setText(r.worth, p.worth === null ? "–" : decimal(p.worth, lang, 2, 2));
      });
    },
  };
}
