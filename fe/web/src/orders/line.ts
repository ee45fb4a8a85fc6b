/** What a line of the open orders says, and in which order they stand. */
import { day, problemText, type Lang, type Translate } from "../i18n/i18n";
import { outcomeText } from "../markets/row";
import type { Live } from "../model/live";
import type { OpenOrder } from "../model/model";
import { decimal } from "../money/money";
import type { Cancelling } from "./cancels";

/** The chosen market's orders first, then the newest; a list from the API has the oldest first. */
export function inView(orders: readonly OpenOrder[], selected: string | null): OpenOrder[] {
  const chosen = (o: OpenOrder) => Number(o.market === selected);
  return [...orders].reverse().sort((a, b) => chosen(b) - chosen(a));
}

/** Whether one press is worth more than the button of a line: the chosen market has several own orders. */
export const several = (orders: readonly OpenOrder[], selected: string | null): boolean =>
  orders.filter((o) => o.market === selected).length > 1;

export function orderLine(o: OpenOrder, markets: Live["markets"], lang: Lang, t: Translate) {
  const m = markets.get(o.market);
  const what = `${t(`side.${o.side}`)} ${outcomeText(m, o.outcome, t)}`;
  const price = decimal(o.limit_price_micros, lang);
  return {
    title: m?.title ?? o.market,
    what,
    price,
    waits: decimal(o.shares_micros, lang, 2, 2),
    more: [
      o.filled_micros > 0 ? t("orders.filled", { n: decimal(o.filled_micros, lang, 2, 2) }) : "",
      o.expires_at ? t("orders.until", { time: day(o.expires_at, lang) }) : "",
    ].filter((s) => s !== "").join(" · "),
    cancel: t("orders.cancel.name", { what, price }),
  };
}

export function cancelWords(last: Cancelling | null, t: Translate): string {
  if (!last) return "";
  if (last.kind === "problem") return problemText(t, last.code, last.retry);
  return t(last.kind !== "sending" && last.all ? `orders.all.${last.kind}` : `orders.${last.kind}`);
}
