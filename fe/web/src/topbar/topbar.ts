/** The bar above everything: whether the page is live, the balance, the language. */
import "./topbar.css";
import { LANGS } from "../i18n/i18n";
import type { Actions, Component } from "../model/state";
import { h, label, setAttribute, setHidden, setText, svg } from "../ui/dom";
import { balanceText } from "./balance";

export function topbar({ setLang, signOut }: Actions): Component {
  const line = h("span", { class: "line", role: "status" });
  const balance = h("strong", { "data-testid": "balance" });
  const money = h("span", { class: "balance" }, label("span", "top.balance", { class: "muted" }), " ", balance);
  const leave = label("button", "top.signout", { type: "button", class: "quiet" });
  leave.addEventListener("click", signOut);
  const langs = LANGS.map((lang) => {
    const button = h("button", { type: "button", lang: lang === "pt" ? "pt-BR" : "en", "data-t-label": `lang.${lang}` }, lang.toUpperCase());
    button.addEventListener("click", () => setLang(lang));
    return button;
  });
  const mark = svg("svg", { viewBox: "0 0 32 32", "aria-hidden": "true", class: "mark" },
    svg("rect", { width: "32", height: "32", rx: "8" }),
    svg("path", { d: "M6 21c5 0 6-10 10-10s5 6 10 6" }),
    svg("circle", { cx: "26", cy: "17", r: "2.5" }),
  );

  return {
    element: h("header", { class: "topbar" },
      h("div", { class: "brand" }, mark, h("h1", {}, "MBP"), label("span", "app.tagline", { class: "muted tagline" })),
      line,
      h("div", { class: "topbar-end" },
        money,
        h("div", { class: "langs", role: "group", "data-t-label": "lang.label" }, ...langs),
        leave,
      ),
    ),
    draw({ phase, line: now, me, account, lang }, t) {
      const inside = phase === "in";
      setHidden(line, !inside);
      setText(line, t(`top.${now}`));
      setAttribute(line, "data-state", now);
      setHidden(leave, !inside);
      setHidden(money, !inside);
      setText(balance, balanceText(me, account, lang, t));
      langs.forEach((button, i) => setAttribute(button, "aria-pressed", String(LANGS[i] === lang)));
    },
  };
}
