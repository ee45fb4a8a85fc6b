/** The panel's languages: which one, and how a message is put into words. */
import { en } from "./en";
import { pt } from "./pt";

export type MessageKey = keyof typeof en;

export const LANGS = ["pt", "en"] as const;
export type Lang = (typeof LANGS)[number];

export const MESSAGES: Record<Lang, Record<MessageKey, string>> = { pt, en };

/** The value of `<html lang>`. */
export const HTML_LANG: Record<Lang, string> = { pt: "pt-BR", en: "en" };

export type Params = Record<string, string>;
export type Translate = (key: MessageKey, params?: Params) => string;

/** The language to start with: the stored choice, else the first that the browser asks for and we have. */
export function pickLang(stored: string | null, wanted: readonly string[]): Lang {
  const known = (tag: string) => LANGS.find((lang) => tag.toLowerCase().split("-")[0] === lang);
  return known(stored ?? "") ?? wanted.map(known).find((lang) => lang !== undefined) ?? "en";
}

export function translator(lang: Lang): Translate {
  const messages = MESSAGES[lang];
  return (key, params) => messages[key].replace(/\{(\w+)\}/g, (whole, name: string) => params?.[name] ?? whole);
}

/** The message of a problem code; a code that is not known yet is named. */
export function problemText(t: Translate, code: string, retryAfterSeconds = 0): string {
  const key = `problem.${code}`;
  const params = { code, seconds: String(Math.max(1, retryAfterSeconds)) };
  return t(Object.hasOwn(en, key) ? (key as MessageKey) : "problem.unknown", params);
}

const CLOCK: Record<Lang, Intl.DateTimeFormat> = {
  pt: new Intl.DateTimeFormat("pt-BR", { timeStyle: "medium" }),
  en: new Intl.DateTimeFormat("en", { timeStyle: "medium", hourCycle: "h23" }),
};
const DAY: Record<Lang, Intl.DateTimeFormat> = {
  pt: new Intl.DateTimeFormat("pt-BR", { dateStyle: "medium", timeStyle: "short" }),
  en: new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" }),
};

/** Time of day, in the reader's zone. */
export const clock = (rfc3339: string, lang: Lang): string => CLOCK[lang].format(Date.parse(rfc3339));

/** Date and time, in the reader's zone. */
export const day = (rfc3339: string, lang: Lang): string => DAY[lang].format(Date.parse(rfc3339));
