import { describe, expect, it } from "vitest";
import { between, count, decimal, MAX_MICROS, parse, percent, reserve, worth } from "./money";

describe("decimal", () => {
  it.each([
    [0, "0.00", "0,00"],
    [1, "0.000001", "0,000001"],
    [10_000_000, "10.00", "10,00"],
    [18_181_818, "18.181818", "18,181818"],
    [1_234_567_890_000, "1,234,567.89", "1.234.567,89"],
    [-1_500_000, "−1.50", "−1,50"],
    [MAX_MICROS, "4,503,599,627.370496", "4.503.599.627,370496"],
    [100_000, "0.10", "0,10"],
  ])("%i micros", (micros, en, pt) => {
    expect(decimal(micros, "en")).toBe(en);
    expect(decimal(micros, "pt")).toBe(pt);
  });

  it("cuts what does not fit and never rounds up", () => {
    expect(decimal(999_999, "en", 2, 2)).toBe("0.99");
    expect(decimal(1_999_999, "en", 0, 0)).toBe("1");
    expect(decimal(-1, "en", 2, 2)).toBe("0.00");
  });

  it("writes every micro of a long walk exactly, where floats would drift", () => {
    let micros = 0;
    for (let i = 0; i < 1000; i++) micros += 100_001;
    expect(decimal(micros, "en")).toBe("100.001");
    expect(decimal(300_000, "en")).toBe("0.30"); // 0.1 + 0.2
  });
});

it("count groups digits", () => {
  expect(count(1234567, "pt")).toBe("1.234.567");
});

describe("percent", () => {
  it.each([
    [500_000, "50.0%"],
    [573_210, "57.3%"],
    [573_250, "57.3%"],
    [573_500, "57.4%"],
    [999_000, "99.9%"],
    [999_999, "> 99.9%"],
    [999, "< 0.1%"],
    [1_000, "0.1%"],
    [1_000_000, "100.0%"],
    [0, "0.0%"],
  ])("%i ppm", (price, want) => {
    expect(percent(price, "en")).toBe(want);
    expect(percent(price, "pt")).toBe(want.replace(".", ","));
  });
});

it("worth rounds down and survives the largest amounts", () => {
  expect(worth(18_181_818, 573_211)).toBe(10_422_018);
  expect(worth(MAX_MICROS, 999_999)).toBe(4_503_595_123_770_868);
});

describe("parse", () => {
  it.each([
    ["10", "en", 10_000_000],
    ["10", "pt", 10_000_000],
    ["10.5", "en", 10_500_000],
    ["10,5", "pt", 10_500_000],
    ["10.5", "pt", 10_500_000],
    ["10,5", "en", 10_500_000],
    ["1.500", "pt", 1_500_000_000],
    ["1.500", "en", 1_500_000],
    ["1,500", "en", 1_500_000_000],
    ["1,500", "pt", 1_500_000],
    ["0.500", "pt", 500_000],
    ["1.234.567,89", "pt", 1_234_567_890_000],
    ["1,234,567.89", "en", 1_234_567_890_000],
    ["0.000001", "en", 1],
    [".5", "en", 500_000],
    ["5.", "en", 5_000_000],
    [" 1 000 ", "en", 1_000_000_000],
    ["4503599627.370496", "en", MAX_MICROS],
  ] as const)("%s in %s", (text, lang, micros) => {
    expect(parse(text, lang)).toEqual({ ok: true, micros });
  });

  it.each([
    ["", "empty"],
    ["  ", "empty"],
    ["abc", "format"],
    ["-1", "format"],
    ["1e3", "format"],
    ["1.2.3", "format"],
    ["1,23,456", "format"],
    ["1,234.5.6", "format"],
    ["12,3456,789", "format"],
    [".", "format"],
    ["0x10", "format"],
    ["1.0000001", "digits"],
    ["0", "range"],
    ["0.000000", "range"],
    ["4503599627.370497", "range"],
    ["9999999999999999", "range"],
  ] as const)("refuses %j: %s", (text, why) => {
    expect(parse(text, "en")).toEqual({ ok: false, why });
  });

  it("reads back what decimal writes", () => {
    for (const lang of ["en", "pt"] as const) {
      for (const micros of [1, 999_999, 1_000_000, 1_234_567_890_123, MAX_MICROS]) {
        expect(parse(decimal(micros, lang), lang)).toEqual({ ok: true, micros });
      }
    }
  });
});

describe("between", () => {
  const unit = 1_000_000;
  it.each([
    [0, 100 * unit, 500_000, "50.0", "50,0"],
    [-10 * unit, 30 * unit, 250_000, "0.00", "0,00"],
    [-10 * unit, 30 * unit, 1, "−10.00", "−10,00"],
    [-10 * unit, 30 * unit, 249_000, "−0.04", "−0,04"],
    [0, unit, 573_210, "0.573", "0,573"],
    [0, 250_000 * unit, 573_210, "143,303", "143.303"],
    [20 * unit, 20_000 * unit, 0, "20", "20"],
    [20 * unit, 20_000 * unit, 1_000_000, "20,000", "20.000"],
    [0, 100, 573_210, "0.000057", "0,000057"],
    [-(2 ** 53), 2 ** 53, 1_000_000, "9,007,199,255", "9.007.199.255"],
  ])("%i..%i at %i", (min, max, price, en, pt) => {
    expect(between(min, max, price, "en")).toBe(en);
    expect(between(min, max, price, "pt")).toBe(pt);
  });

  it("rounds to the nearest, half away from zero", () => {
    expect([499, 500, 1499, 1500].map((p) => between(0, 1000 * unit, p, "en"))).toEqual(["0", "1", "1", "2"]);
    expect([998_500, 998_501, 999_500].map((p) => between(-1000 * unit, 0, p, "en"))).toEqual(["−2", "−1", "−1"]);
  });
});

it("what is set aside is rounded up, what is worth down", () => {
  expect(reserve(10_000_001, 400_000)).toBe(4_000_001);
  expect(worth(10_000_001, 400_000)).toBe(4_000_000);
  expect(reserve(0, 400_000)).toBe(0);
  expect(reserve(MAX_MICROS, 999_999)).toBeGreaterThan(MAX_MICROS - 4_503_599_629);
});
