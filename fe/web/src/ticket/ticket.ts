/** The order ticket: a form over the desk, which holds the state. */
import "./ticket.css";
import { held } from "../account/positions";
import { day, type Translate } from "../i18n/i18n";
import { outcomeText } from "../markets/row";
import { priceOf, SIDES, type Outcome } from "../model/model";
import type { Actions, Component, State } from "../model/state";
import { decimal, percent } from "../money/money";
import { h, label, setAttribute, setHidden, setText } from "../ui/dom";
import { choice } from "./choice";
import { fields } from "./fields";
import { ORDER_KINDS } from "./order";
import { quoteBox } from "./quotebox";
import { resultWords, suggestedLimit } from "./words";

export function ticket({ desk }: Actions): Component {
  let last: State | null = null;
  const price = (name: Outcome) => {
    const m = last?.live.markets.get(desk.form.market);
    return m ? priceOf(m, name) : 0;
  };
  // A limit starts at the market's price; that of another order is none of this one.
  const start = (name: Outcome) => (last ? suggestedLimit(price(name), last.lang) : "");
  const fresh = (name: Outcome) => ({ limit: desk.form.kind === "limit" ? start(name) : "" });
  const side = choice("side", SIDES, (value) => desk.set({ side: value, amount: "", ...fresh(desk.form.outcome) }));
  const outcome = choice<Outcome>("outcome", [], (value) => desk.set({ outcome: value, ...fresh(value), ...(desk.form.side === "sell" ? { amount: "" } : {}) }));
  const kind = choice("kind", ORDER_KINDS, (value) => desk.set({ kind: value, limit: value === "limit" ? desk.form.limit || start(desk.form.outcome) : "" }));
  const f = fields(desk, () => (last ? decimal(held(last.account, desk.form.market, desk.form.outcome), last.lang, 0) : ""));
  const box = quoteBox(desk);
  const submit = h("button", { type: "submit", class: "primary" });
  const result = h("p", { class: "result", role: "status", "data-testid": "result" });
  const closed = h("p", { class: "muted empty" });
  const limited = h("p", { class: "note warning" });
  const form = h("form", { name: "ticket", novalidate: true, autocomplete: "off" }, side.element, outcome.element, kind.element, ...f.elements, box.element, submit);
  const element = h("section", { class: "card ticket", "aria-labelledby": "ticket-title" }, label("h2", "ticket.title", { id: "ticket-title" }), limited, closed, form, result);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void desk.submit();
  });

  const drawForm = (state: State, t: Translate) => {
    const { form: now, sending } = desk;
    const m = state.live.markets.get(now.market);
    for (const o of side.of(SIDES)) {
      setText(o.text, t(`side.${o.value}`));
      if (o.input.checked !== (o.value === now.side)) o.input.checked = o.value === now.side;
    }
    for (const o of outcome.of(m?.outcomes.map((x) => x.outcome) ?? [])) {
      setText(o.text, outcomeText(m, o.value, t));
      if (o.input.checked !== (o.value === now.outcome)) o.input.checked = o.value === now.outcome;
      setText(o.price, percent(price(o.value), state.lang));
    }
    for (const o of kind.of(ORDER_KINDS)) {
      setText(o.text, t(`ticket.kind.${o.value}`));
      if (o.input.checked !== (o.value === now.kind)) o.input.checked = o.value === now.kind;
    }
    f.draw(price(now.outcome), state.lang, t);
    setText(submit, sending ? t("ticket.sending") : t(`ticket.submit.${now.side}`, { outcome: outcomeText(m, now.outcome, t) }));
    // A disabled button would lose the focus; the desk refuses by itself.
    setAttribute(submit, "aria-disabled", desk.canSubmit() ? null : "true");
    setAttribute(submit, "data-outcome", now.outcome);
  };

  return {
    element,
    draw(state, t) {
      last = state;
      const m = state.live.markets.get(state.selected ?? "");
      setHidden(element, m === undefined);
      if (!m) return;
      const readOnly = state.me?.account === null;
      setHidden(form, readOnly || m.state !== "open");
      setHidden(closed, !readOnly && m.state === "open");
      setText(closed, t(readOnly ? "ticket.readonly" : "ticket.closed"));
      const until = state.account?.limited_until;
      setText(limited, until ? t("ticket.limited", { time: day(until, state.lang) }) : "");
      drawForm(state, t);
      box.draw(state, t);
      setText(result, resultWords(desk.result, m, state.lang, t));
      setAttribute(result, "data-state", desk.result?.kind ?? null);
    },
  };
}
