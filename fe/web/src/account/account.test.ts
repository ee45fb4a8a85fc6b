import { expect, it } from "vitest";
import type { Account, Market } from "../model/model";
import { sample, yesNo } from "../model/samples";
import { held, positions } from "./positions";

const market = (id: string, yes: number, over: Partial<Market> = {}): [string, Market] => [id, sample({ market: id, title: `Title ${id}`, outcomes: yesNo(yes), ...over })];
const account: Account = {
  seq: 1, account: "acc_1", available_micros: 0, reserved_micros: 0, limited_until: null, positions: [
    { market: "mkt_1", outcome: "YES", shares_micros: 10_000_000, reserved_micros: null },
    { market: "mkt_2", outcome: "NO", shares_micros: 10_000_001, reserved_micros: null },
    { market: "mkt_3", outcome: "YES", shares_micros: 0, reserved_micros: null },
    { market: "mkt_4", outcome: "NO", shares_micros: 5_000_000, reserved_micros: 2_000_000 },
    { market: "mkt_9", outcome: "YES", shares_micros: 1, reserved_micros: null },
  ],
};
const markets = new Map([market("mkt_1", 250_000), market("mkt_2", 400_000), market("mkt_3", 1), market("mkt_4", 0, { state: "resolved", outcome: "NO" })]);

it("values positions at the last price, rounded down; resolved ones at their payout", () => {
  expect(positions(account, markets, null).map((p) => [p.market, p.worth])).toEqual([
    ["mkt_2", 6_000_000], ["mkt_4", 5_000_000], ["mkt_1", 2_500_000], ["mkt_9", null],
  ]);
});

it("puts the chosen market first", () => {
  expect(positions(account, markets, "mkt_1")[0]).toEqual({ market: "mkt_1", title: "Title mkt_1", outcome: "YES", shares: 10_000_000, worth: 2_500_000 });
});

it("knows what can be sold", () => {
  expect(held(account, "mkt_2", "NO")).toBe(10_000_001);
  expect(held(account, "mkt_2", "YES")).toBe(0);
  expect(held(account, "mkt_4", "NO"), "without what open sales hold").toBe(3_000_000);
  expect(held(null, "mkt_2", "NO")).toBe(0);
});
