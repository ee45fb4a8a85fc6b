/**
 * Reads answers of the API strictly into types: what the panel shows was checked
 * once, here. Members that nobody asked for are left out, so that the API may
 * grow.
 */

export type Check<T> = (value: unknown, path: string) => T;

export class DecodeError extends Error {}

const refuse = (path: string, want: string): never => {
  throw new DecodeError(`${path} is not ${want}`);
};

export const text: Check<string> = (v, path) => (typeof v === "string" ? v : refuse(path, "text"));

/** An integer; exact up to 2^53, which is twice the engine's largest amount. */
export const int: Check<number> = (v, path) => (typeof v === "number" && Number.isInteger(v) ? v : refuse(path, "an integer"));

export const flag: Check<boolean> = (v, path) => (typeof v === "boolean" ? v : refuse(path, "true or false"));

export const oneOf =
  <T extends string>(...words: readonly T[]): Check<T> =>
  (v, path) =>
    words.find((w) => w === v) ?? refuse(path, words.join(" or "));

export const matching =
  (pattern: RegExp, want: string): Check<string> =>
  (v, path) =>
    typeof v === "string" && pattern.test(v) ? v : refuse(path, want);

/** Absent, null and the empty text all mean: there is none. */
export const maybe =
  <T>(check: Check<T>): Check<T | null> =>
  (v, path) =>
    v === undefined || v === null || v === "" ? null : check(v, path);

export const list =
  <T>(check: Check<T>): Check<readonly T[]> =>
  (v, path) =>
    Array.isArray(v) ? v.map((item, i) => check(item, `${path}[${i}]`)) : refuse(path, "a list");

type Shape = Record<string, Check<unknown>>;
export type Of<S extends Shape> = { readonly [K in keyof S]: ReturnType<S[K]> };

export const record =
  <S extends Shape>(shape: S): Check<Of<S>> =>
  (v, path) => {
    if (typeof v !== "object" || v === null || Array.isArray(v)) return refuse(path, "an object");
    const from = v as Record<string, unknown>;
    const out: Record<string, unknown> = {};
    for (const [key, check] of Object.entries(shape)) out[key] = check(from[key], `${path}.${key}`);
    return out as Of<S>;
  };
