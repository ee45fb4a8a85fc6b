import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { NoAnswer, Problem, type Api } from "../api/api";
import { Holdings, REREAD_MS, TRIES } from "./holdings";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function setUp(owner: string | null = "acc_1") {
  const seqs = { account: 5, orders: 5 };
  const get = vi.fn(async (path: string): Promise<unknown> =>
    path.startsWith("/v1/accounts/") ? { seq: seqs.account, account: "acc_1" } : { seq: seqs.orders, orders: [{ order: "ord_1" }] });
  const onRead = vi.fn();
  const onUnauthorised = vi.fn();
  const api = { get } as unknown as Api;
  const holdings = new Holdings({
    api: () => api, owner: () => owner, sleep: () => Promise.resolve(), onRead, onUnauthorised,
  });
  return { holdings, get, onRead, onUnauthorised, seqs };
}

it("reads credits, shares and orders of the same account, as new as is wanted", async () => {
  const { holdings, get, onRead } = setUp();
  await holdings.read(7);
  expect(get.mock.calls.map(([path]) => path)).toEqual(["/v1/accounts/acc_1?min_seq=7", "/v1/orders?account=acc_1&min_seq=7"]);
  expect(onRead).toHaveBeenCalledWith({ seq: 5, account: "acc_1" }, [{ order: "ord_1" }]);
});

it("drops an answer that was overtaken", async () => {
  const { holdings, onRead, seqs } = setUp();
  await holdings.read(0);
  seqs.orders = 4;
  await holdings.read(0);
  expect(onRead).toHaveBeenCalledOnce();
  holdings.reset();
  await holdings.read(0);
  expect(onRead, "another sign-in starts afresh").toHaveBeenCalledTimes(2);
});

it("tries again when the server is behind, and gives up after some tries", async () => {
  const { holdings, get, onRead } = setUp();
  get.mockRejectedValueOnce(new Problem(412, "behind", 0));
  await holdings.read(7);
  expect(onRead).toHaveBeenCalledOnce();
  get.mockReset().mockRejectedValue(new NoAnswer());
  await holdings.read(7);
  expect(get).toHaveBeenCalledTimes(2 * TRIES);
});

it("reads at most once a second when the market moves", async () => {
  const { holdings, get } = setUp();
  for (let i = 0; i < 20; i++) {
    holdings.moved();
    await vi.advanceTimersByTimeAsync(REREAD_MS / 10);
  }
  expect(get).toHaveBeenCalledTimes(2 * 2);
});

it("asks for nothing with a key that has no account", async () => {
  const { holdings, get } = setUp(null);
  await holdings.read(0);
  expect(get).not.toHaveBeenCalled();
});

it("a key that is refused signs out, once", async () => {
  const { holdings, get, onUnauthorised } = setUp();
  get.mockRejectedValue(new Problem(401, "unauthenticated", 0));
  await holdings.read(0);
  expect(onUnauthorised).toHaveBeenCalledOnce();
});
