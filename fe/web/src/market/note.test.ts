import { describe, expect, it } from "vitest";
import { translator } from "../i18n/i18n";
import { MARKET_STATES } from "../model/model";
import { cup, degrees, outcomeState, sample } from "../model/samples";
import { FACTS, factTexts } from "./facts";
import { stateNote } from "./note";

const [pt, en] = [translator("pt"), translator("en")];
const proposal = { outcome: "O3", value: null, cancel: null, proposed_at: "2026-01-01T11:00:00.000000Z", final_at: "2026-01-01T12:00:00.000000Z", approvals: 1, approvals_needed: 2, stands: null };

describe("stateNote", () => {
  it("explains every state but the one that needs no word", () => {
    const said = MARKET_STATES.map((state) => stateNote(sample({ state, proposal, ending: "price" }), "en", en));
    expect(said[MARKET_STATES.indexOf("open")]).toBe("");
    expect(new Set(said).size, "each in words of its own").toBe(MARKET_STATES.length);
    for (const text of said) expect(text).not.toMatch(/[{}]/);
  });

  it("says what was proposed, how far it is, and until when it can be disputed", () => {
    expect(stateNote(cup({ state: "proposed", proposal }), "en", en)).toMatch(/^Green was proposed .* 1 of 2 approvals\. .* until .*2026/);
    expect(stateNote(cup({ state: "proposed", proposal: { ...proposal, final_at: proposal.proposed_at } }), "en", en), "no window, no word of it").toMatch(/approvals\.$/);
    expect(stateNote(cup({ state: "proposed", proposal: { ...proposal, stands: true } }), "en", en), "disputed before").toMatch(/cannot be disputed .* final on .*2026/);
    expect(stateNote(degrees({ state: "disputed", proposal: { ...proposal, outcome: "LONG", value: -12_345_500_000 } }), "pt", pt)).toContain("−12.345,5");
    expect(stateNote(degrees({ state: "disputed", proposal: { ...proposal, outcome: "LONG", value: null } }), "pt", pt)).toContain("O resultado proposto, 0,");
  });

  it("says that a market shall end without an outcome", () => {
    const none = { ...proposal, outcome: "NONE", cancel: "price" as const };
    expect(stateNote(cup({ state: "proposed", proposal: none }), "en", en)).toMatch(/^It was proposed to end .* 1 of 2 approvals\. .*2026/);
    expect(stateNote(cup({ state: "disputed", proposal: none }), "pt", pt)).toMatch(/^A proposta .* foi contestada/);
  });

  it("says what a share has paid, and how", () => {
    expect(stateNote(cup({ state: "resolved", outcome: "O2", ending: "outcome" }), "en", en)).toBe("Each share of Blue paid one credit.");
    expect(stateNote(cup({ state: "resolved", outcome: "O2", ending: "void" }), "en", en)).toContain("was undone");
    const ended = degrees({ state: "resolved", outcome: "LONG", ending: "outcome", outcomes: [outcomeState("LONG", 875_000), outcomeState("SHORT", 125_000)] });
    expect(stateNote(ended, "pt", pt)).toBe("O valor foi 25,00: cada ação de alta pagou 0,875 créditos, cada ação de baixa 0,125.");
  });

  it("tells a market that pays its outcome from one that pays back", () => {
    expect(stateNote(sample({ state: "settling", ending: "outcome" }), "en", en)).toContain("outcome stands");
    for (const ending of ["price", "refund"] as const) expect(stateNote(sample({ state: "settling", ending }), "en", en)).toContain("without an outcome");
    expect(stateNote(sample({ state: "canceled", ending: "price" }), "en", en)).toContain("average price");
    expect(stateNote(sample({ state: "canceled", ending: "refund" }), "en", en)).toContain("paid back");
  });
});

describe("factTexts", () => {
  it("are those of the outcome, and a dash where nobody bids", () => {
    const o = outcomeState("O2", 1, { twap_1m_micros: 510_000, twap_micros: 500_000, twap_15m_micros: 490_000, best_ask_micros: 555_500, depth_micros: 7_900_000 });
    expect(factTexts(cup({ outcomes: [outcomeState("O1", 2), o] }), "O2", "en")).toEqual(["51.0%", "50.0%", "49.0%", "–", "0.5555", "7"]);
    expect(factTexts(cup(), "O9", "en")).toEqual(FACTS.map(() => "–"));
  });
});
