import { expect, it } from "vitest";
import { readKey } from "./key";

const random = `${"aZ0-_".repeat(8)}abc`;
const key = `mbp_k7abcdef_${random}`;

it("takes a key with the blanks that copying adds", () => {
  expect(readKey(key)).toBe(key);
  expect(readKey(`mbp_${random}`)).toBe(`mbp_${random}`);
  expect(readKey(` ${key}\n`)).toBe(key);
});

it.each(["", "mbp_", key.slice(0, -1), `${key}x`, key.replace("mbp_", "abc_"), key.replace("a", "é"), key.replace("k7", "K7"), key.replace("k7", "k"), `${key} ${key}`])("refuses %j", (typed) => {
  expect(readKey(typed)).toBeNull();
});
