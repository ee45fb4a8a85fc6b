/** The market that was chosen: its prices, their trail, what its state means, and the figures of the outcome that the ticket has chosen. */
import "./market.css";
import { day, type Lang, type Translate } from "../i18n/i18n";
import type { Live } from "../model/live";
import { leading, ranked, type Market, type Outcome } from "../model/model";
import type { Actions, Component } from "../model/state";
import { outcomeText, stateText, valueText } from "../markets/row";
import { count, decimal, ONE, percent } from "../money/money";
import { h, label, setAttribute, setChildren, setHidden, setText, svg } from "../ui/dom";
import { FACTS, factTexts } from "./facts";
import { stateNote } from "./note";
import { HEIGHT, trailPoints, WIDTH } from "./trail";
import type { Words } from "./words";

const TOTALS = ["volume", "trades", "closes"] as const;

/** Outcomes that surely fit without scrolling. */
const UNSCROLLED = 6;

function outcomePart(outcome: Outcome) {
  const name = h("span", {});
  const chance = h("strong", { class: "chance", "data-testid": `chance-${outcome}` });
  const price = h("span", { class: "muted" });
  return { name, chance, price, element: h("div", { class: "outcome", role: "listitem", "data-outcome": outcome }, name, chance, price) };
}

/** The outcomes of a market: probability and price say the same in two ways. */
function outcomePrices() {
  const parts = new Map<Outcome, ReturnType<typeof outcomePart>>();
  const element = h("div", { class: "outcomes", role: "list", "data-t-label": "market.outcomes" });
  return {
    element,
    draw(m: Market, lang: Lang, t: Translate) {
      setAttribute(element, "data-kind", m.kind);
      // What scrolls can be reached by the keyboard.
      setAttribute(element, "tabindex", m.outcomes.length > UNSCROLLED ? "0" : null);
      setChildren(element, ranked(m).map((o) => {
        const part = parts.get(o.outcome) ?? outcomePart(o.outcome);
        parts.set(o.outcome, part);
        setText(part.name, outcomeText(m, o.outcome, t));
        setText(part.chance, percent(o.price_micros, lang));
        setText(part.price, t("market.per", { price: decimal(o.price_micros, lang, 4, 4) }));
        return part.element;
      }));
    },
  };
}

/** A list of figures, each under its name. */
function figures(names: readonly ((typeof FACTS)[number] | (typeof TOTALS)[number])[]) {
  const values = names.map((name) => h("dd", { class: "num", "data-testid": `fact-${name}` }));
  const element = h("dl", { class: "facts" }, ...names.map((name, i) => h("div", {}, label("dt", `fact.${name}`), values[i] as HTMLElement)));
  return { element, draw: (texts: readonly string[]) => values.forEach((dd, i) => setText(dd, texts[i] ?? "")) };
}

/** The value that a scalar market's price stands for. */
function impliedValue() {
  const value = h("strong", { class: "chance", "data-testid": "value" });
  const range = h("span", { class: "muted" });
  const element = h("p", { class: "implied" }, label("span", "market.value"), value, range);
  return {
    element,
    draw(m: Market, lang: Lang, t: Translate) {
      setHidden(element, m.kind !== "scalar");
      if (m.kind !== "scalar") return;
      setText(value, valueText(m, lang));
      setText(range, t("market.range", { min: decimal(m.min ?? 0, lang, 0), max: decimal(m.max ?? 0, lang, 0) }));
    },
  };
}

/** What was added to the title, in order, under the day of each. One that was erased says so. */
function clarifications({ words }: Actions) {
  const items = h("ol", { class: "clarifications", "data-t-label": "market.clarifications", "data-testid": "clarifications" });
  return {
    element: items,
    draw(m: Market, lang: Lang, t: Translate) {
      setHidden(items, !m.clarifications);
      const texts = new Map(words.all.map((c) => [c.text_id, c.text]));
      setChildren(items, (m.clarifications ?? []).map((c) => {
        const item = h("li", { class: "note" });
        setText(item, `${day(c.at, lang)}: ${texts.get(c.text_id) ?? t(texts.has(c.text_id) ? "market.erased" : "market.reading")}`);
        return item;
      }));
    },
  };
}

export function market(actions: Actions): Component {
  const { desk, words } = actions;
  const more = clarifications(actions);
  const title = h("h2", { id: "market", tabindex: "-1" });
  const pill = h("span", { class: "pill" });
  const note = h("p", { class: "note state-note", role: "status" });
  const implied = impliedValue();
  const prices = outcomePrices();
  const bar = h("div", { class: "bar wide", role: "meter", "aria-valuemin": "0", "aria-valuemax": "100", "data-t-label": "market.probability" }, h("span", {}));
  const line = svg("polyline", { class: "trail-line" });
  const trail = svg("svg", { class: "trail", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" }, line);
  const of = h("h3", { class: "facts-title muted" });
  const facts = figures(FACTS);
  const totals = figures(TOTALS);
  const pick = label("p", "market.pick", { class: "muted empty" });
  const body = h("div", {}, h("div", { class: "market-head" }, title, pill), more.element, note, implied.element, prices.element, bar, trail, of, facts.element, totals.element);
  let drawn: { live: Live; selected: string | null; lang: Lang; outcome: Outcome; said: Words["all"] } | null = null;

  return {
    element: h("section", { class: "card market", "aria-labelledby": "market" }, pick, body),
    draw({ live, selected, lang }, t) {
      const { outcome } = desk.form;
      if (drawn?.live === live && drawn.selected === selected && drawn.lang === lang && drawn.outcome === outcome && drawn.said === words.all) return;
      drawn = { live, selected, lang, outcome, said: words.all };
      const m = live.markets.get(selected ?? "");
      setHidden(pick, m !== undefined);
      setHidden(body, m === undefined);
      if (!m) return;
      setText(title, m.title);
      setText(pill, stateText(m, lang, t));
      setAttribute(pill, "data-state", m.state);
      more.draw(m, lang, t);
      setText(note, stateNote(m, lang, t));
      implied.draw(m, lang, t);
      prices.draw(m, lang, t);
      const chance = leading(m)?.price_micros ?? 0;
      bar.style.setProperty("--share", (chance / ONE).toFixed(4));
      setAttribute(bar, "aria-valuenow", ((100 * chance) / ONE).toFixed(1));
      const name = outcomeText(m, outcome, t);
      const at = Math.max(0, m.outcomes.findIndex((o) => o.outcome === outcome));
      const points = (live.trails.get(m.market) ?? []).map((p) => ({ at: p.at, price: p.prices[at] ?? 0 }));
      setAttribute(line, "points", trailPoints(points, Date.now()));
      setAttribute(trail, "aria-label", t("market.trail", { outcome: name }));
      setText(of, t("market.figures", { outcome: name }));
      facts.draw(factTexts(m, outcome, lang));
      totals.draw([decimal(m.volume_micros, lang, 0, 0), count(m.trades, lang), m.close_at ? day(m.close_at, lang) : t("fact.never")]);
    },
  };
}
