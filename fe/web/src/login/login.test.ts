import { expect, it } from "vitest";
import { readKey } from "./key";

const key = `mbp_${"aZ0-_".repeat(8)}abc`;

it("takes a key with the blanks that copying adds", () => {
  expect(readKey(key)).toBe(key);
  expect(readKey(` ${key}\n`)).toBe(key);
});

it.each(["", "mbp_", key.slice(0, -1), `${key}x`, key.replace("mbp_", "abc_"), key.replace("a", "é"), `${key} ${key}`])("refuses %j", (typed) => {
  expect(readKey(typed)).toBeNull();
});
