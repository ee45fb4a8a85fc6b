/**
 * Numbers as people read and type them. Amounts, shares and prices are integers
 * in micros; every digit shown comes from integer arithmetic, so nothing drifts.
 * One credit is 1,000,000 micros; a price in micros is the probability in ppm.
 */
import type { Lang } from "../i18n/i18n";

/** Micros in one credit, in one share, and the sum of the prices of a market. */
export const ONE = 1_000_000;

/** Largest amount of an order, in micros: the engine's bound, 2^52. */
export const MAX_MICROS = 2 ** 52;

const DECIMALS = 6;

interface Marks {
  readonly decimal: string;
  readonly group: string;
}

const MARKS: Record<Lang, Marks> = {
  pt: { decimal: ",", group: "." },
  en: { decimal: ".", group: "," },
};

const grouped = (digits: string, group: string): string => digits.replace(/\B(?=(\d{3})+$)/g, group);

/**
 * Writes micros with at least `min` and at most `max` decimals. Digits beyond
 * `max` are cut, never rounded up: a balance never looks larger than it is.
 */
export const decimal = (micros: number, lang: Lang, min = 2, max = DECIMALS): string => written(BigInt(Math.trunc(micros)), lang, min, max);

function written(value: bigint, lang: Lang, min: number, max: number): string {
  const size = value < 0n ? -value : value;
  const whole = size / BigInt(ONE);
  let fraction = (size % BigInt(ONE)).toString().padStart(DECIMALS, "0").slice(0, max);
  while (fraction.length > min && fraction.endsWith("0")) fraction = fraction.slice(0, -1);
  const { decimal: mark, group } = MARKS[lang];
  const text = grouped(whole.toString(), group) + (fraction === "" ? "" : mark + fraction);
  return value < 0n && /[1-9]/.test(text) ? `−${text}` : text;
}

/** Writes a whole number. */
export const count = (n: number, lang: Lang): string => written(BigInt(n) * BigInt(ONE), lang, 0, 0);

/**
 * Writes the value between `min` and `max`, in millionths, that a price of LONG
 * stands for, with as many decimals as a thousandth of the range can be told
 * from, half away from zero.
 */
export function between(min: number, max: number, price: number, lang: Lang): string {
  const range = BigInt(max) - BigInt(min);
  const value = BigInt(min) * BigInt(ONE) + range * BigInt(price); // in millionths of millionths
  const decimals = Math.min(DECIMALS, Math.max(0, 4 + DECIMALS - range.toString().length));
  const unit = 10n ** BigInt(2 * DECIMALS - decimals);
  const half = value < 0n ? -unit / 2n : unit / 2n;
  return written((((value + half) / unit) * unit) / BigInt(ONE), lang, decimals, decimals);
}

/** Writes a price as a probability with one decimal, half up: 573,210 → 57.3%. */
export function percent(price: number, lang: Lang): string {
  if (price > 0 && price < 1000) return `< ${tenths(1, lang)}%`;
  if (price < ONE && price > 999_000) return `> ${tenths(999, lang)}%`;
  return `${tenths(Math.floor((price + 500) / 1000), lang)}%`;
}

function tenths(n: number, lang: Lang): string {
  return `${Math.floor(n / 10)}${MARKS[lang].decimal}${n % 10}`;
}

/** Credits that `shares` are worth at `price`, in micros, rounded down. */
export function worth(shares: number, price: number): number {
  return Number((BigInt(shares) * BigInt(price)) / BigInt(ONE));
}

export type Parsed = { readonly ok: true; readonly micros: number } | { readonly ok: false; readonly why: "empty" | "format" | "digits" | "range" };

const fail = (why: "empty" | "format" | "digits" | "range"): Parsed => ({ ok: false, why });

/**
 * Reads what a person typed. The language decides what "1.500" means; where the
 * other mark can only be a decimal one ("10.5" in Portuguese) it is understood,
 * and what could be read in two ways is read in the language's way or refused.
 */
export function parse(text: string, lang: Lang): Parsed {
  const typed = text.replace(/[\s\u00a0]/g, "");
  if (typed === "") return fail("empty");
  const split = separate(typed, MARKS[lang]);
  if (!split) return fail("format");
  const [whole, fraction] = split;
  if (fraction.length > DECIMALS) return fail("digits");
  const micros = BigInt(whole) * BigInt(ONE) + BigInt(fraction.padEnd(DECIMALS, "0"));
  if (micros <= 0n || micros > BigInt(MAX_MICROS)) return fail("range");
  return { ok: true, micros: Number(micros) };
}

/** The digits before and after the decimal mark, without group marks. */
function separate(typed: string, { decimal: mark, group }: Marks): [string, string] | null {
  const d = `\\${mark}`;
  const g = `\\${group}`;
  const plain = new RegExp(`^(\\d{1,16})(?:${d}(\\d*))?$`).exec(typed) ?? new RegExp(`^()${d}(\\d+)$`).exec(typed);
  if (plain) return [plain[1] || "0", plain[2] ?? ""];
  const inGroups = new RegExp(`^([1-9]\\d{0,2}(?:${g}\\d{3})+)(?:${d}(\\d*))?$`).exec(typed);
  if (inGroups) return [(inGroups[1] ?? "").replaceAll(group, ""), inGroups[2] ?? ""];
  const foreign = new RegExp(`^(\\d{1,16})${g}(\\d+)$`).exec(typed);
  return foreign ? [foreign[1] ?? "", foreign[2] ?? ""] : null;
}

/** Credits that are set aside while a buy of `shares` waits at `limit`, in micros, rounded up. */
export function reserve(shares: number, limit: number): number {
  return Number((BigInt(shares) * BigInt(limit) + BigInt(ONE) - 1n) / BigInt(ONE));
}
