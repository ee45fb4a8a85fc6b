import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MARKET_STATES, SIDES } from "../model/model";
import { LANGS, MESSAGES, pickLang, problemText, translator, type MessageKey } from "./i18n";

const keys = (lang: (typeof LANGS)[number]) => Object.keys(MESSAGES[lang]).sort();
const holes = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort();

describe("messages", () => {
  it("every language has the same keys", () => {
    for (const lang of LANGS) expect(keys(lang), lang).toEqual(keys("en"));
  });

  it("every message is written, with the same holes in every language", () => {
    for (const key of keys("en") as MessageKey[]) {
      for (const lang of LANGS) {
        expect(MESSAGES[lang][key].trim(), `${lang} ${key}`).not.toBe("");
        expect(holes(MESSAGES[lang][key]), `${lang} ${key}`).toEqual(holes(MESSAGES.en[key]));
      }
    }
  });

  it("Portuguese is not English left over", () => {
    const same = keys("en").filter((k) => MESSAGES.en[k as MessageKey] === MESSAGES.pt[k as MessageKey]);
    expect(same).toEqual(["fact.volume", "lang.en", "lang.pt"]);
  });

  it("has a word for every state, outcome and side", () => {
    for (const key of [...MARKET_STATES.map((s) => `state.${s}`), ...["YES", "NO", "LONG", "SHORT"].map((o) => `outcome.${o}`), ...SIDES.map((s) => `side.${s}`)]) {
      expect(keys("en")).toContain(key);
    }
  });

  const source = (path: string) => readFileSync(new URL(`../../../../${path}`, import.meta.url), "utf8");

  it("knows the states of the engine", () => {
    const block = /var marketStateNames = \[\]string\{([^}]*)\}/.exec(source("engine/internal/words/states.go"))?.[1] ?? "";
    expect([...block.matchAll(/"([a-z]+)"/g)].map((m) => m[1]).sort()).toEqual([...MARKET_STATES].sort());
  });

  it("explains every code of the engine", () => {
    const block = /var codeNames = \[\]string\{([^}]*)\}/.exec(source("engine/codes.go"))?.[1] ?? "";
    const codes = [...block.matchAll(/"([a-z_]+)"/g)].map((m) => m[1]).filter((c) => c !== "ok");
    expect(codes.length).toBeGreaterThan(15);
    for (const code of codes) expect(keys("en"), code).toContain(`problem.${code}`);
  });

  it("explains every code of the edge", () => {
    const codes = [...source("engine/httpapi/problem/problem.go").matchAll(/^\t[A-Z]\w+ += "([a-z_]+)"/gm)].map((m) => m[1]);
    expect(codes.length).toBeGreaterThan(10);
    for (const code of codes) expect(keys("en"), code).toContain(`problem.${code}`);
  });
});

it("fills the holes and leaves what it has no value for", () => {
  expect(translator("pt")("ticket.submit.buy", { outcome: "Sim" })).toBe("Comprar Sim");
  expect(translator("en")("ticket.submit.buy")).toBe("Buy {outcome}");
});

it("names a code that it does not know", () => {
  const t = translator("en");
  expect(problemText(t, "frozen_solid")).toContain("frozen_solid");
  expect(problemText(t, "toString")).toContain("toString");
  expect(problemText(t, "rate_limited", 3)).toContain("3 s");
});

it.each([
  [null, ["pt-BR", "en"], "pt"],
  [null, ["de", "pt-PT"], "pt"],
  [null, ["en-GB"], "en"],
  [null, ["fr"], "en"],
  [null, [], "en"],
  ["en", ["pt-BR"], "en"],
  ["xx", ["pt-BR"], "pt"],
] as const)("picks a language: stored %s, wanted %j → %s", (stored, wanted, lang) => {
  expect(pickLang(stored, wanted)).toBe(lang);
});
