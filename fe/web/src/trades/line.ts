/** What a line of the trade list says. */
import type { Lang, Translate } from "../i18n/i18n";
import type { Trade } from "../model/model";
import { decimal } from "../money/money";

export function tradeLine(trade: Trade, lang: Lang, t: Translate) {
  return {
    what: `${t(`side.${trade.side}`)} ${t(`outcome.${trade.outcome}`)}`,
    amount: decimal(trade.amount_micros, lang, 2, 2),
    price: decimal(trade.average_price_micros, lang, 3, 3),
  };
}
