/** The fields of the ticket that are typed or picked, with their messages. */
import type { Lang, Translate } from "../i18n/i18n";
import { TIFS, type Tif } from "../model/model";
import { h, label, setAttribute, setHidden, setText } from "../ui/dom";
import type { Desk } from "./desk";
import { PROTECTIONS, rests, type Field, type Protection } from "./order";
import { limitWords, suggestedLimit } from "./words";

/** Amounts in credits that one press fills in. */
const QUICK = ["1", "10", "100"];

const DECIMAL = { type: "text", inputmode: "decimal", maxlength: "32" };

/** A field that is typed, and what is wrong with it. */
function typed(desk: Desk, name: Field, attributes: Record<string, string>) {
  const input = h("input", { id: name, name, autocomplete: "off", "aria-describedby": `${name}-error`, ...attributes });
  const error = h("p", { id: `${name}-error`, class: "field-error" });
  input.addEventListener("input", () => desk.set({ [name]: input.value }));
  return {
    input,
    error,
    draw(t: Translate) {
      if (input.value !== desk.form[name]) input.value = desk.form[name];
      if (input.readOnly !== desk.sending) input.readOnly = desk.sending;
      const reading = desk.reading();
      // An empty field is not wrong yet.
      const wrong = !reading.ok && reading.field === name && !reading.why.startsWith("input.empty") ? t(reading.why) : "";
      setText(error, wrong);
      setAttribute(input, "aria-invalid", wrong === "" ? null : "true");
    },
  };
}

/** The amount with its unit and what fills it in at one press. */
function amountField(desk: Desk, held: () => string) {
  const amount = typed(desk, "amount", DECIMAL);
  const unit = h("span", { class: "unit", "aria-hidden": "true" });
  const name = h("label", { for: "amount" });
  const fill = (text: string) => {
    desk.set({ amount: text });
    amount.input.focus();
  };
  const quick = QUICK.map((n) => {
    const button = h("button", { type: "button", class: "chip" }, n);
    button.addEventListener("click", () => fill(n));
    return button;
  });
  const all = label("button", "ticket.all", { type: "button", class: "chip" });
  all.addEventListener("click", () => fill(held()));
  return {
    element: h("div", { class: "field" }, name, h("div", { class: "amount" }, amount.input, unit, h("span", { class: "chips" }, ...quick, all)), amount.error),
    draw(t: Translate) {
      const buys = desk.form.side === "buy";
      setText(name, t(buys ? "ticket.credits" : "ticket.shares"));
      setText(unit, t(`ticket.unit.${desk.form.side}`));
      for (const chip of quick) setHidden(chip, !buys);
      setHidden(all, buys);
      amount.draw(t);
    },
  };
}

/** `held` is what can be sold, as it would be typed. */
export function fields(desk: Desk, held: () => string) {
  const amount = amountField(desk, held);
  const limit = typed(desk, "limit", { ...DECIMAL, "aria-describedby": "limit-error limit-note" });
  const expires = typed(desk, "expires", { type: "datetime-local" });
  const protect = h("select", { id: "protect", name: "protect", "aria-describedby": "protect-note" }, ...PROTECTIONS.map((p) => label("option", `ticket.protect.${p}`, { value: p })));
  const protectNote = h("p", { id: "protect-note", class: "muted note" });
  const limitNote = h("p", { id: "limit-note", class: "muted note" });
  const tif = h("select", { id: "tif", name: "tif" }, ...TIFS.map((x) => label("option", `ticket.tif.${x}`, { value: x })));
  const post = h("input", { id: "post", name: "post", type: "checkbox" });
  protect.addEventListener("change", () => desk.set({ protect: protect.value as Protection }));
  tif.addEventListener("change", () => desk.set({ tif: tif.value as Tif }));
  post.addEventListener("change", () => desk.set({ post: post.checked }));

  const protectField = h("div", { class: "field" }, label("label", "ticket.protect", { for: "protect" }), protect, protectNote);
  const limitField = h("div", { class: "field" }, label("label", "ticket.limit", { for: "limit" }), limit.input, limitNote, limit.error);
  const tifField = h("div", { class: "field" }, label("label", "ticket.tif", { for: "tif" }), tif);
  const expiresField = h("div", { class: "field" }, label("label", "ticket.expires", { for: "expires" }), expires.input, expires.error);
  const postField = h("div", { class: "check" }, post, label("label", "ticket.post", { for: "post" }));

  return {
    elements: [amount.element, protectField, limitField, tifField, expiresField, postField],
    /** `price` is that of the chosen outcome. */
    draw(price: number, lang: Lang, t: Translate) {
      const { form, quote } = desk;
      const own = form.kind === "limit";
      amount.draw(t);
      limit.draw(t);
      expires.draw(t);
      if (protect.value !== form.protect) protect.value = form.protect;
      if (tif.value !== form.tif) tif.value = form.tif;
      if (post.checked !== form.post) post.checked = form.post;
      setAttribute(limit.input, "placeholder", suggestedLimit(price, lang));
      setHidden(protectField, own);
      setHidden(limitField, !own);
      setHidden(tifField, !own);
      setHidden(expiresField, !own || form.tif !== "gtd");
      setHidden(postField, !rests(form));
      const bound = limitWords(form, desk.reading(), quote.kind === "ready" ? quote.quote : null, lang, t);
      setText(protectNote, own ? "" : bound);
      setText(limitNote, own ? bound : "");
    },
  };
}
