/** The order ticket: a form over the desk, which holds the state. */
import "./ticket.css";
import { held } from "../account/positions";
import { problemText, type Translate } from "../i18n/i18n";
import { outcomeText } from "../markets/row";
import { priceOf, SIDES, type Outcome } from "../model/model";
import type { Actions, Component, State } from "../model/state";
import { decimal, percent } from "../money/money";
import { h, label, setAttribute, setChildren, setHidden, setText } from "../ui/dom";
import type { Desk } from "./desk";
import { PROTECTIONS, type Protection } from "./order";
import { limitWords, quoteWords, resultWords, suggestedLimit } from "./words";

/** Amounts in credits that one press fills in. */
const QUICK = ["1", "10", "100"];

/** One radio button of a group that looks like one switch; arrow keys move in it. */
function option<T extends string>(name: "side" | "outcome", value: T, chosen: (value: T) => void) {
  const input = h("input", { type: "radio", name, value, id: `${name}-${value}` });
  const text = h("span", {});
  const price = h("span", { class: "num choice-price" });
  input.addEventListener("change", () => chosen(value));
  return { value, input, text, price, element: h("span", { class: "choice", "data-value": value }, input, h("label", { for: input.id }, text, price)) };
}

function choice<T extends string>(name: "side" | "outcome", values: readonly T[], chosen: (value: T) => void) {
  const options = values.map((value) => option(name, value, chosen));
  const group = h("div", { class: "choice-group" }, ...options.map((o) => o.element));
  const element = h("fieldset", { class: `choices ${name}` }, label("legend", `ticket.${name}`, { class: "hear" }), group);
  const known = new Map<string, (typeof options)[number]>(options.map((o) => [o.value, o]));
  return {
    element,
    /** The options in force: those of the values, made when first asked for. */
    of(now: readonly T[]) {
      const list = now.map((value) => {
        const there = known.get(value) ?? option(name, value, chosen);
        known.set(value, there);
        return there;
      });
      setChildren(group, list.map((o) => o.element));
      return list;
    },
  };
}

/** The typed fields with their messages. */
function fields(desk: Desk) {
  const amount = h("input", {
    id: "amount", name: "amount", type: "text", inputmode: "decimal", autocomplete: "off", "aria-describedby": "amount-error", maxlength: "32",
  });
  const unit = h("span", { class: "unit", "aria-hidden": "true" });
  const amountLabel = h("label", { for: "amount" });
  const amountError = h("p", { id: "amount-error", class: "field-error" });
  const quick = QUICK.map((n) => {
    const button = h("button", { type: "button", class: "chip" }, n);
    button.addEventListener("click", () => fill(n));
    return button;
  });
  const all = label("button", "ticket.all", { type: "button", class: "chip" });
  const protect = h("select", { id: "protect", name: "protect" }, ...PROTECTIONS.map((p) => label("option", `ticket.protect.${p}`, { value: p })));
  const limit = h("input", {
    id: "limit", name: "limit", type: "text", inputmode: "decimal", autocomplete: "off", "aria-describedby": "limit-error limit-note", maxlength: "32",
  });
  const limitError = h("p", { id: "limit-error", class: "field-error" });
  const limitField = h("div", { class: "field" }, label("label", "ticket.limit", { for: "limit" }), limit, limitError);
  const limitNote = h("p", { id: "limit-note", class: "muted note" });
  const fill = (text: string) => {
    desk.set({ amount: text });
    amount.focus();
  };
  amount.addEventListener("input", () => desk.set({ amount: amount.value }));
  limit.addEventListener("input", () => desk.set({ limit: limit.value }));
  const elements = [
    h("div", { class: "field" }, amountLabel,
      h("div", { class: "amount" }, amount, unit, h("span", { class: "chips" }, ...quick, all)), amountError),
    h("div", { class: "field" }, label("label", "ticket.protect", { for: "protect" }), protect, limitNote),
    limitField,
  ];
  return { amount, unit, amountLabel, amountError, quick, all, protect, limit, limitError, limitField, limitNote, fill, elements };
}

const LINES = ["pay", "receive", "average", "after", "payout"] as const;

/** The quote, line by line, or why there is none. */
function quoteBox(desk: Desk) {
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
        const words = quoteWords(q.quote, lang, t);
        LINES.forEach((name, i) => {
          setText(values[i] as HTMLElement, words[name]);
          const key = name === "pay" && form.side === "sell" ? "give" : name;
          setText(terms[i] as HTMLElement, t(`ticket.${key}`, { outcome: outcomeText(live.markets.get(form.market), form.outcome, t) }));
          setHidden(rows[i] as HTMLElement, words[name] === "");
        });
      } else {
        setText(note, q.kind === "problem" ? problemText(t, q.code, q.retry) : t(q.kind === "none" ? "ticket.quote.wait" : `ticket.quote.${q.kind}`));
      }
    },
  };
}

export function ticket({ desk }: Actions): Component {
  let last: State | null = null;
  const side = choice("side", SIDES, (value) => desk.set({ side: value, amount: "", limit: "" }));
  const outcome = choice<Outcome>("outcome", [], (value) => desk.set({ outcome: value, limit: "", ...(desk.form.side === "sell" ? { amount: "" } : {}) }));
  const f = fields(desk);
  const box = quoteBox(desk);
  const submit = h("button", { type: "submit", class: "primary" });
  const result = h("p", { class: "result", role: "status", "data-testid": "result" });
  const closed = h("p", { class: "muted empty" });
  const form = h("form", { name: "ticket", novalidate: true, autocomplete: "off" }, side.element, outcome.element, ...f.elements, box.element, submit);
  const element = h("section", { class: "card ticket", "aria-labelledby": "ticket-title" }, label("h2", "ticket.title", { id: "ticket-title" }), closed, form, result);

  const price = (name: Outcome) => {
    const m = last?.live.markets.get(desk.form.market);
    return m ? priceOf(m, name) : 0;
  };
  f.protect.addEventListener("change", () => {
    const protect = f.protect.value as Protection;
    const limit = protect === "custom" && desk.form.limit === "" && last ? suggestedLimit(desk.form, price(desk.form.outcome), last.lang) : desk.form.limit;
    desk.set({ protect, limit });
  });
  f.all.addEventListener("click", () => {
    if (last) f.fill(decimal(held(last.account, desk.form.market, desk.form.outcome), last.lang, 0));
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void desk.submit();
  });

  const drawForm = (state: State, t: Translate) => {
    const { form: now, quote, sending } = desk;
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
    if (f.amount.value !== now.amount) f.amount.value = now.amount;
    if (f.limit.value !== now.limit) f.limit.value = now.limit;
    if (f.protect.value !== now.protect) f.protect.value = now.protect;
    for (const input of [f.amount, f.limit]) if (input.readOnly !== sending) input.readOnly = sending;
    setText(f.amountLabel, t(now.side === "buy" ? "ticket.credits" : "ticket.shares"));
    setText(f.unit, t(`ticket.unit.${now.side}`));
    for (const chip of f.quick) setHidden(chip, now.side === "sell");
    setHidden(f.all, now.side === "buy");
    setHidden(f.limitField, now.protect !== "custom");
    const reading = desk.reading();
    const fault = reading.ok ? null : reading;
    const shown = (field: "amount" | "limit") => (fault?.field === field && fault.why !== "input.empty" ? t(fault.why) : "");
    for (const [field, error] of [["amount", f.amountError], ["limit", f.limitError]] as const) {
      setText(error, shown(field));
      setAttribute(f[field], "aria-invalid", shown(field) === "" ? null : "true");
    }
    setText(f.limitNote, limitWords(now, reading, quote.kind === "ready" ? quote.quote : null, state.lang, t));
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
      drawForm(state, t);
      box.draw(state, t);
      setText(result, resultWords(desk.result, m, state.lang, t));
      setAttribute(result, "data-state", desk.result?.kind ?? null);
    },
  };
}
