/** Who won most in the season. Accounts are shown by their ids: nobody knows more. */
import "./season.css";
import { day, type Lang } from "../i18n/i18n";
import type { Standings } from "../model/model";
import type { Actions, Component } from "../model/state";
import { h, label, setAttribute, setHidden, setText } from "../ui/dom";
import { SHOWN } from "./board";
import { line, shown } from "./lines";

function row() {
  const cells = [h("td", { class: "num" }), h("td"), h("td", { class: "num" })];
  return { cells, element: h("tr", { hidden: true }, ...cells) };
}

export function season({ board }: Pick<Actions, "board">): Component {
  const rows = Array.from({ length: SHOWN + 1 }, row);
  const title = h("h2", { id: "season-title" });
  const when = h("p", { class: "muted" });
  const none = label("p", "season.none", { class: "muted empty" });
  const table = h("table", {},
    h("thead", {}, h("tr", {},
      label("th", "season.rank", { scope: "col", class: "num" }), label("th", "season.who", { scope: "col" }),
      label("th", "season.profit", { scope: "col", class: "num" }))),
    h("tbody", {}, ...rows.map((r) => r.element)));
  const element = h("section", { class: "card season", "aria-labelledby": "season-title", hidden: true }, title, when, none, table);
  let drawn: [Standings | null, Lang] | null = null;

  return {
    element,
    draw({ lang, me }, t) {
      const s = board.standings;
      if (drawn && drawn[0] === s && drawn[1] === lang) return;
      drawn = [s, lang];
      setHidden(element, s === null);
      if (!s) return;
      setText(title, t("season.title", { name: s.season.name }));
      setText(when, s.final ? t("season.final", { day: day(s.as_of, lang) }) : t("season.until", { day: day(s.season.end, lang) }));
      const lines = shown(s);
      setHidden(none, lines.length > 0);
      setHidden(table, lines.length === 0);
      rows.forEach(({ cells, element: tr }, i) => {
        const x = lines[i];
        setHidden(tr, x === undefined);
        if (!x) return;
        const said = line(x, me?.account ?? null, lang, t);
        setAttribute(tr, "data-mine", said.mine ? "" : null);
        [said.rank, said.who, said.profit].forEach((text, c) => setText(cells[c] as HTMLElement, text));
      });
    },
  };
}
