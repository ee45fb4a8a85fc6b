/** The last trades of the chosen market, newest first. No account is shown: none is known. */
import "./trades.css";
import { clock, type Lang } from "../i18n/i18n";
import { TRADES_KEPT } from "../model/live";
import type { Trade } from "../model/model";
import type { Component } from "../model/state";
import { h, label, setAttribute, setHidden, setText } from "../ui/dom";
import { tradeLine } from "./line";

export function trades(): Component {
  const rows = Array.from({ length: TRADES_KEPT }, () => {
    const cells = Array.from({ length: 4 }, (_, i) => h("td", i > 1 ? { class: "num" } : {}));
    return { cells, element: h("tr", { hidden: true }, ...cells) };
  });
  const none = label("p", "trades.none", { class: "muted empty" });
  const table = h("table", {},
    h("thead", {}, h("tr", {},
      label("th", "trades.time", { scope: "col" }), label("th", "trades.what", { scope: "col" }),
      label("th", "trades.amount", { scope: "col", class: "num" }), label("th", "trades.price", { scope: "col", class: "num" }))),
    h("tbody", {}, ...rows.map((r) => r.element)),
  );
  let drawn: readonly Trade[] | undefined;
  let drawnIn: Lang | null = null;

  return {
    element: h("section", { class: "card trades", "aria-labelledby": "trades-title" }, label("h2", "trades.title", { id: "trades-title" }), none, table),
    draw({ live, selected, lang }, t) {
      const list = live.trades.get(selected ?? "");
      if (list === drawn && lang === drawnIn) return;
      drawn = list;
      drawnIn = lang;
      setHidden(none, (list?.length ?? 0) > 0);
      setHidden(table, (list?.length ?? 0) === 0);
      rows.forEach(({ cells, element }, i) => {
        const trade = list?.[i];
        setHidden(element, trade === undefined);
        if (!trade) return;
        setAttribute(element, "data-outcome", trade.outcome);
        const line = tradeLine(trade, live.markets.get(trade.market), lang, t);
        const texts = [clock(trade.decided_at, lang), line.what, line.amount, line.price];
        cells.forEach((cell, c) => setText(cell, texts[c] ?? ""));
      });
    },
  };
}
