/** A group of radio buttons that looks like one switch; arrow keys move in it. */
import { h, label, setChildren } from "../ui/dom";

type Name = "side" | "outcome" | "kind";

function option<T extends string>(name: Name, value: T, chosen: (value: T) => void) {
  const input = h("input", { type: "radio", name, value, id: `${name}-${value}` });
  const text = h("span", {});
  const price = h("span", { class: "num choice-price" });
  input.addEventListener("change", () => chosen(value));
  return { value, input, text, price, element: h("span", { class: "choice", "data-value": value }, input, h("label", { for: input.id }, text, price)) };
}

export function choice<T extends string>(name: Name, values: readonly T[], chosen: (value: T) => void) {
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
