/** Sign-in by API key, or at the house's identity provider. The field is a password field: nobody reads it over a shoulder. */
import "./login.css";
import type { Translate } from "../i18n/i18n";
import type { Actions, Component, State } from "../model/state";
import { h, label, setAttribute, setHidden, setText } from "../ui/dom";
import { readKey } from "./key";

export function login({ signIn }: Actions): Component {
  const input = h("input", {
    id: "key", name: "key", type: "password", autocomplete: "current-password", autocapitalize: "off", spellcheck: "false",
    required: true, "aria-describedby": "key-error",
  });
  const error = h("p", { id: "key-error", class: "login-error", role: "alert" });
  const submit = h("button", { type: "submit", class: "primary" });
  // Without a handler a POST keeps the key out of the address.
  const form = h("form", { name: "login", method: "post", class: "card login", novalidate: true },
    label("h2", "login.title"),
    label("p", "login.lead", { class: "muted" }),
    label("label", "login.key", { for: "key" }),
    input, error, submit,
  );
  const provider = label("a", "login.provider", { href: "/", class: "login-provider", "data-testid": "provider" });
  form.append(provider);
  const element = h("main", { class: "login-page" }, form);
  let malformed = false;
  let last: { readonly state: State; readonly t: Translate } | null = null;
  const showError = () => {
    const message = malformed ? "login.format" : last?.state.loginError;
    setText(error, message && last ? last.t(message) : "");
    setAttribute(input, "aria-invalid", message ? "true" : null);
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const key = readKey(input.value);
    malformed = key === null;
    if (key !== null) {
      input.value = "";
      signIn(key);
    } else {
      showError();
      input.focus();
    }
  });

  return {
    element,
    draw(state, t) {
      const before = last?.state.phase;
      last = { state, t };
      setHidden(element, state.phase === "in" || state.phase === "back");
      showError();
      setHidden(provider, state.provider === null);
      if (state.provider !== null) setAttribute(provider, "href", state.provider);
      setText(submit, t(state.phase === "checking" ? "login.checking" : "login.submit"));
      setAttribute(submit, "aria-disabled", state.phase === "checking" ? "true" : null);
      if (state.phase === "out" && before !== "out") input.focus();
    },
  };
}
