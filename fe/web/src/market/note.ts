/** What a market's state means for people who would trade in it. */
import { day, type Lang, type Translate } from "../i18n/i18n";
import { outcomeText, valueText } from "../markets/row";
import { priceOf, type Market, type Proposal } from "../model/model";
import { count, decimal } from "../money/money";

function proposed(m: Market, p: Proposal, lang: Lang, t: Translate): string {
  return m.kind === "scalar" ? decimal(p.value ?? 0, lang, 0) : outcomeText(m, p.outcome, t);
}

/** Empty for an open market: there is nothing to explain. */
export function stateNote(m: Market, lang: Lang, t: Translate): string {
  const p = m.proposal;
  switch (m.state) {
    case "open":
      return "";
    case "proposed":
      if (!p) return "";
      return [
        t(p.cancel ? "note.proposed.cancel" : "note.proposed", { outcome: p.cancel ? "" : proposed(m, p, lang, t), n: count(p.approvals, lang), of: count(p.approvals_needed, lang) }),
        // Not every template has a window for disputes, and not every proposal can be disputed within it.
        Date.parse(p.final_at) > Date.parse(p.proposed_at) ? t(p.stands ? "note.stands" : "note.disputable", { until: day(p.final_at, lang) }) : "",
      ].join(" ").trim();
    case "disputed":
      if (!p) return "";
      return p.cancel ? t("note.disputed.cancel") : t("note.disputed", { outcome: proposed(m, p, lang, t) });
    case "settling":
      return t(m.ending === "price" || m.ending === "refund" ? "note.settling.back" : "note.settling");
    case "resolved": {
      const paid = m.kind === "scalar"
        ? t("note.resolved.value", { value: valueText(m, lang), long: decimal(priceOf(m, "LONG"), lang), short: decimal(priceOf(m, "SHORT"), lang) })
        : t("note.resolved", { outcome: m.outcome ? outcomeText(m, m.outcome, t) : "–" });
      return m.ending === "void" ? `${paid} ${t("note.void")}` : paid;
    }
    case "canceled":
      return t(m.ending === "refund" ? "note.canceled.refund" : "note.canceled.price");
    default:
      return t(`note.${m.state}`);
  }
}
