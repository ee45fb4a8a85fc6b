import { expect, it } from "vitest";
import { translator } from "../i18n/i18n";
import { balanceText } from "./balance";

const me = { principal: "p", roles: ["trader"], account: "acc_1" };
const account = { seq: 1, account: "acc_1", available_micros: 1_234_999_999, reserved_micros: 0, limited_until: null, positions: [] };
const t = translator("pt");

it("shows the balance, never more than there is", () => {
  expect(balanceText(me, account, "pt", t)).toBe("1.234,99");
});

it("says that a key has no account, and nothing while the balance is not known", () => {
  expect(balanceText({ ...me, account: null }, null, "pt", t)).toBe("somente leitura");
  expect(balanceText(me, null, "pt", t)).toBe("–");
  expect(balanceText(null, null, "pt", t)).toBe("–");
});
