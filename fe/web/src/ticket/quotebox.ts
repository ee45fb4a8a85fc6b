/** The quote, line by line, or why there is none. */
import { problemText, type Translate } from "../i18n/i18n";
import { outcomeText } from "../markets/row";
import type { State } from "../model/state";
import { h, setAttribute, setHidden, setText } from "../ui/dom";
import type { Desk } from "./desk";
import { LINES, quoteWords } from "./words";

export function quoteBox(desk: Desk) {
  const terms = LINES.map(() => h("dt"));
  const values = LINES.map((name) => h("dd", { class: "num", "data-testid": `quote-${name}` }));
  const rows = LINES.map((_, i) => h("div", {}, terms[i] as HTMLElement, values[i] as HTMLElement));
  const list = h("dl", {}, ...rows);
  const note = h("p", { class: "muted note" });
  const element = h("div", { class: "quote", role: "group", "data-t-label": "ticket.quote", "data-testid": "quote" }, list, note);
  return {
    element,
    draw({ lang, live }: State, t: Translate) {
      const { quote: q, form } = desk;
      setAttribute(element, "data-state", q.kind);
      setHidden(list, q.kind !== "ready");
      setHidden(note, q.kind === "ready");
      if (q.kind === "ready") {
        const reading = desk.reading();
        const words = quoteWords(q.quote, reading.ok ? reading.limit : null, lang, t);
        const outcome = outcomeText(live.markets.get(form.market), form.outcome, t);
        LINES.forEach((name, i) => {
          setText(values[i] as HTMLElement, words[name]);
          setText(terms[i] as HTMLElement, t(`ticket.${name === "pay" && form.side === "sell" ? "give" : name}`, { outcome }));
          setHidden(rows[i] as HTMLElement, words[name] === "");
        });
      } else {
        setText(note, q.kind === "problem" ? problemText(t, q.code, q.retry) : t(q.kind === "none" ? "ticket.quote.wait" : `ticket.quote.${q.kind}`));
      }
    },
  };
}
