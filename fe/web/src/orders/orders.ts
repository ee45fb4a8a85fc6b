/** The trader's orders that wait in the books, with a way out for each. */
import "./orders.css";
import type { Lang, Translate } from "../i18n/i18n";
import type { Live } from "../model/live";
import type { OpenOrder } from "../model/model";
import type { Actions, Component } from "../model/state";
import { count, decimal } from "../money/money";
import { h, label, setAttribute, setChildren, setHidden, setText } from "../ui/dom";
import type { Cancels } from "./cancels";
import { cancelWords, inView, orderLine, several } from "./line";

/** Orders shown; who has more uses the API. */
const SHOWN = 30;

function orderRow(id: string, cancels: Cancels) {
  const link = h("a", { href: "#" });
  const what = h("span", { class: "tag" });
  const more = h("span", { class: "muted order-more" });
  const price = h("td", { class: "num" });
  const waits = h("td", { class: "num" });
  const cancel = h("button", { type: "button", class: "quiet" });
  cancel.addEventListener("click", () => void cancels.cancel(id));
  const element = h("tr", { "data-order": id }, h("td", {}, link, " ", what, more), price, waits, h("td", { class: "num" }, cancel));
  return {
    element,
    draw(o: OpenOrder, markets: Live["markets"], lang: Lang, t: Translate) {
      const words = orderLine(o, markets, lang, t);
      setAttribute(link, "href", `#${o.market}`);
      setText(link, words.title);
      setText(what, words.what);
      setAttribute(what, "data-outcome", o.outcome);
      setText(more, words.more);
      setText(price, words.price);
      setText(waits, words.waits);
      setText(cancel, t(cancels.sending(id) ? "orders.sending" : "orders.cancel"));
      setAttribute(cancel, "aria-label", words.cancel);
      // A disabled button would lose the focus; what is under way is not sent again.
      setAttribute(cancel, "aria-disabled", cancels.sending(id) ? "true" : null);
    },
  };
}

export function orders({ cancels }: Actions): Component {
  const title = label("h2", "orders.title", { id: "orders-title", tabindex: "-1" });
  const none = label("p", "orders.none", { class: "muted empty" });
  const body = h("tbody");
  const table = h("table", {},
    h("thead", {}, h("tr", {},
      label("th", "orders.what", { scope: "col" }), label("th", "orders.limit", { scope: "col", class: "num" }),
      label("th", "orders.waits", { scope: "col", class: "num" }), h("th", { scope: "col" }, label("span", "orders.cancel", { class: "hear" })))),
    body);
  const all = h("button", { type: "button", class: "quiet all" });
  let market = "";
  all.addEventListener("click", () => void cancels.cancelAll(market));
  const more = h("p", { class: "muted note" });
  const held = h("p", { class: "muted note" });
  const result = h("p", { class: "result", role: "status", "data-testid": "cancel-result" });
  const element = h("section", { class: "card orders", "aria-labelledby": "orders-title" }, title, none, table, all, more, held, result);
  const rows = new Map<string, ReturnType<typeof orderRow>>();

  return {
    element,
    draw({ orders: waiting, account, live, selected, lang }, t) {
      setHidden(element, account === null);
      setHidden(none, waiting.length > 0);
      setHidden(table, waiting.length === 0);
      const shown = inView(waiting, selected).slice(0, SHOWN);
      const ids = new Set(shown.map((o) => o.order));
      for (const [id, row] of rows) {
        if (ids.has(id)) continue;
        // Who pressed a button that goes away is not thrown to the page's top.
        if (row.element.contains(document.activeElement)) title.focus();
        rows.delete(id);
      }
      const lines = shown.map((o) => {
        const row = rows.get(o.order) ?? orderRow(o.order, cancels);
        rows.set(o.order, row);
        row.draw(o, live.markets, lang, t);
        return row.element;
      });
      setChildren(body, lines);
      market = selected ?? "";
      const offered = several(waiting, selected);
      if (!offered && all === document.activeElement) title.focus();
      setHidden(all, !offered);
      setText(all, t(cancels.sending(market) ? "orders.sending" : "orders.all"));
      setAttribute(all, "aria-disabled", cancels.sending(market) ? "true" : null);
      setText(more, waiting.length > SHOWN ? t("orders.more", { n: count(waiting.length - SHOWN, lang) }) : "");
      const reserved = account?.reserved_micros ?? 0;
      setText(held, reserved > 0 ? t("orders.reserved", { n: decimal(reserved, lang, 2, 2) }) : "");
      setText(result, cancelWords(cancels.last, t));
      setAttribute(result, "data-state", cancels.last && cancels.last.kind !== "sending" ? cancels.last.kind : null);
    },
  };
}
