import { describe, expect, it } from "vitest";
import { HEIGHT, trailPoints, WIDTH } from "./trail";

const points = (text: string) => text.split(" ").map((p) => p.split(",").map(Number) as [number, number]);

describe("trailPoints", () => {
  it("is empty without prices", () => {
    expect(trailPoints([], 0)).toBe("");
  });

  it("a steady price is a level line in the middle", () => {
    expect(points(trailPoints([{ at: 0, price: 500_000 }], 1000))).toEqual([[0, HEIGHT / 2], [WIDTH, HEIGHT / 2]]);
  });

  it("goes up when the price rises, in a step, and reaches now", () => {
    const line = points(trailPoints([{ at: 0, price: 400_000 }, { at: 500, price: 600_000 }], 1000));
    expect(line.map(([x]) => x)).toEqual([0, WIDTH / 2, WIDTH / 2, WIDTH]);
    const ys = line.map(([, y]) => y);
    expect(ys[1]).toBe(ys[0]);
    expect(ys[2]).toBeLessThan(ys[1] as number);
    expect(ys[3]).toBe(ys[2]);
    for (const y of ys) expect(y).toBeGreaterThanOrEqual(0);
    for (const y of ys) expect(y).toBeLessThanOrEqual(HEIGHT);
  });

  it("noise stays small", () => {
    const ys = points(trailPoints([{ at: 0, price: 500_000 }, { at: 1, price: 500_100 }], 2)).map(([, y]) => y);
    expect(Math.max(...ys) - Math.min(...ys)).toBeLessThan(1);
  });

  it("a clock that lags behind the server keeps the line inside", () => {
    for (const [x] of points(trailPoints([{ at: 0, price: 1 }, { at: 9000, price: 2 }], 5000))) {
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x).toBeLessThanOrEqual(WIDTH);
    }
  });
});
