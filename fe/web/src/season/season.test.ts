import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { NoAnswer, Problem, type Api } from "../api/api";
import { translator } from "../i18n/i18n";
import type { Season, Standings } from "../model/model";
import { Board, current, REREAD_MS } from "./board";
import { line, shown, signed } from "./lines";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const one = (name: string, state: Season["state"]): Season => ({ name, state, start: "2026-03-01T00:00:00.000000Z", end: "2026-06-01T00:00:00.000000Z" });
const table = (over: Partial<Standings> = {}): Standings => ({
  season: one("spring", "running"), final: false, as_of: "2026-04-01T00:00:00.000000Z", own: null,
  standings: [{ rank: 1, account: "acc_9", profit_micros: 21_000_000 }, { rank: 2, account: "acc_7", profit_micros: -500_000 }], ...over,
});

it("shows the season that runs, else the last that began", () => {
  const [winter, spring, summer] = [one("winter", "ended"), one("spring", "running"), one("summer", "announced")];
  expect(current([winter, spring, summer])?.name).toBe("spring");
  expect(current([winter, summer])?.name).toBe("winter");
  expect(current([one("autumn", "ended"), one("winter", "counting"), summer])?.name).toBe("winter");
  expect(current([summer])).toBeUndefined();
});

it("puts one's own line behind the top, once", () => {
  const own = { rank: 31, account: "acc_3", profit_micros: 1 };
  expect(shown(table({ own })).at(-1)).toBe(own);
  expect(shown(table({ own: { rank: 2, account: "acc_7", profit_micros: -500_000 } }))).toHaveLength(2);
  expect(shown(table())).toHaveLength(2);
});

it("says who won how much", () => {
  expect(line(table().standings[1]!, "acc_7", "en", translator("en"))).toEqual({ rank: "2", who: "You", profit: "−0.50", mine: true });
  expect(line(table().standings[0]!, "acc_7", "pt", translator("pt"))).toEqual({ rank: "1", who: "acc_9", profit: "+21,00", mine: false });
  expect(signed(0, "en")).toBe("0.00");
});

function setUp() {
  let seasons: Season[] = [one("spring", "running")];
  let fails: Error | null = null;
  const get = vi.fn(async (path: string): Promise<unknown> => {
    if (fails) throw fails;
    return path === "/v1/seasons" ? { seasons } : table();
  });
  const [onChange, onUnauthorised] = [vi.fn(), vi.fn()];
  const api = { get } as unknown as Api;
  const board = new Board({ api: () => api, onChange, onUnauthorised });
  return { board, get, onChange, onUnauthorised, none: () => (seasons = []), fail: (err: Error | null) => (fails = err) };
}

it("reads the season and its top, and again while markets move", async () => {
  const { board, get, onChange, none } = setUp();
  await board.read();
  expect(get.mock.calls.map(([path]) => path)).toEqual(["/v1/seasons", "/v1/seasons/spring/standings?limit=10"]);
  expect(board.standings?.season.name).toBe("spring");
  expect(onChange).toHaveBeenCalledOnce();
  none();
  board.moved();
  board.moved();
  await vi.advanceTimersByTimeAsync(REREAD_MS);
  expect(get).toHaveBeenCalledTimes(3);
  expect(board.standings, "there is no season any more").toBeNull();
});

it("keeps what it has when the line is down, and signs out when refused", async () => {
  const { board, onUnauthorised, fail } = setUp();
  await board.read();
  fail(new NoAnswer("down"));
  await board.read();
  expect(board.standings?.season.name).toBe("spring");
  expect(onUnauthorised).not.toHaveBeenCalled();
  fail(new Problem(401, "unauthenticated", 0));
  await board.read();
  expect(onUnauthorised).toHaveBeenCalledOnce();
  board.reset();
  expect(board.standings).toBeNull();
});
