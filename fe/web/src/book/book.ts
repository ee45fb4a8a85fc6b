/** What waits in the book of the outcome that the ticket has chosen: asks above, bids below, the best in the middle. */
import "./book.css";
import type { Lang, Translate } from "../i18n/i18n";
import { outcomeText } from "../markets/row";
import type { Book, Level } from "../model/model";
import type { Actions, Component } from "../model/state";
import { decimal } from "../money/money";
import { h, label, setAttribute, setHidden, setText } from "../ui/dom";
import { DEPTH } from "./feed";
import { largest, levelWords, type LevelWords } from "./levels";

type BookSide = "ask" | "bid";

function levelRow(side: BookSide, use: (price: number) => void) {
  const price = h("button", { type: "button", class: "level-price" });
  const cells = [0, 1, 2].map(() => h("td", { class: "num" }));
  const element = h("tr", { class: "level", "data-side": side, hidden: true }, h("td", {}, price), ...cells);
  let level: Level | undefined;
  price.addEventListener("click", () => {
    if (level) use(level.price_micros);
  });
  return {
    element,
    draw(now: Level | undefined, words: LevelWords | undefined, t: Translate) {
      level = now;
      setHidden(element, !now);
      if (!now || !words) return;
      element.style.setProperty("--share", words.share);
      setText(price, words.price);
      setAttribute(price, "aria-label", t(`book.use.${side}`, { price: words.price }));
      [words.percent, words.shares, words.orders].forEach((text, i) => setText(cells[i] as HTMLElement, text));
    },
  };
}

export function book({ desk, book: feed }: Actions): Component {
  let drawn: [Book | null, Lang] | null = null;
  const use = (price: number) => desk.set({ kind: "limit", limit: decimal(price, drawn?.[1] ?? "en") });
  const rows = (side: BookSide) => Array.from({ length: DEPTH }, () => levelRow(side, use));
  const [asks, bids] = [rows("ask"), rows("bid")];
  const title = h("h2", { id: "book-title" });
  const note = h("p", { class: "muted empty" });
  const table = h("table", { "aria-labelledby": "book-title" },
    h("thead", {}, h("tr", {},
      label("th", "book.price", { scope: "col" }), label("th", "book.chance", { scope: "col", class: "num" }),
      label("th", "book.shares", { scope: "col", class: "num" }), label("th", "book.orders", { scope: "col", class: "num" }))),
    h("tbody", {}, ...asks.map((r) => r.element).reverse()),
    h("tbody", {}, ...bids.map((r) => r.element)));
  const element = h("section", { class: "card book", "aria-labelledby": "book-title", "data-testid": "book" }, title, note, table);

  return {
    element,
    draw({ live, selected, lang }, t) {
      const m = live.markets.get(selected ?? "");
      const now = feed.book;
      setHidden(element, !m || m.state === "resolved" || m.state === "canceled");
      setText(title, t("book.title", { outcome: outcomeText(m, desk.form.outcome, t) }));
      const empty = !now || now.bids.length + now.asks.length === 0;
      setText(note, t(feed.failed ? "book.failed" : now ? "book.none" : "book.loading"));
      setHidden(note, !empty && !feed.failed);
      setHidden(table, empty);
      if (drawn?.[0] === now && drawn[1] === lang) return;
      drawn = [now, lang];
      const most = largest(now?.bids ?? [], now?.asks ?? []);
      for (const [levels, there] of [[now?.asks ?? [], asks], [now?.bids ?? [], bids]] as const) {
        const words = levelWords(levels, most, lang);
        there.forEach((row, i) => row.draw(levels[i], words[i], t));
      }
    },
  };
}
