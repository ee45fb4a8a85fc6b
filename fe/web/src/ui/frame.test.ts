import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { atMostEvery, debounced, GULP_MAX, GULP_MS, inGulps, perFrame } from "./frame";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("draws once per frame, and again in the next", () => {
  const frames: (() => void)[] = [];
  const draw = vi.fn();
  const ask = perFrame(draw, (run) => frames.push(run));
  ask();
  ask();
  expect(frames).toHaveLength(1);
  frames.pop()?.();
  expect(draw).toHaveBeenCalledOnce();
  ask();
  expect(frames).toHaveLength(1);
});

it("asking while drawing is for the next frame", () => {
  const frames: (() => void)[] = [];
  let again = true;
  const ask: () => void = perFrame(() => {
    if (again) ask();
    again = false;
  }, (run) => frames.push(run));
  ask();
  frames.pop()?.();
  expect(frames).toHaveLength(1);
});

it("hands items on together, the first at most a gulp late", () => {
  const gulps: number[][] = [];
  const add = inGulps<number>((items) => gulps.push(items));
  add(1);
  vi.advanceTimersByTime(GULP_MS - 1);
  add(2);
  expect(gulps).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(gulps).toEqual([[1, 2]]);
  add(3);
  add(4, true);
  expect(gulps).toEqual([[1, 2], [3, 4]]);
  vi.advanceTimersByTime(GULP_MS);
  expect(gulps, "nothing is handed on twice").toHaveLength(2);
});

it("bounds what waits", () => {
  const gulps: number[] = [];
  const add = inGulps<number>((items) => gulps.push(items.length));
  for (let i = 0; i < GULP_MAX; i++) add(i);
  expect(gulps).toEqual([GULP_MAX]);
});

it("acts after the last call", () => {
  const act = vi.fn();
  const call = debounced(act, 100);
  call();
  vi.advanceTimersByTime(99);
  call();
  vi.advanceTimersByTime(99);
  expect(act).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(act).toHaveBeenCalledOnce();
});

it("acts soon after the first call, however many follow", () => {
  const act = vi.fn();
  const call = atMostEvery(act, 100);
  for (let i = 0; i < 10; i++) {
    call();
    vi.advanceTimersByTime(50);
  }
  expect(act).toHaveBeenCalledTimes(5);
  vi.advanceTimersByTime(1000);
  expect(act, "and not without a call").toHaveBeenCalledTimes(5);
});
