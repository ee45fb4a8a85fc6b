/** What a line of the trade list says. */
import type { Lang, Translate } from "../i18n/i18n";
import type { Market, Trade } from "../model/model";
import { outcomeText } from "../markets/row";
import { decimal } from "../money/money";

export function tradeLine(trade: Trade, market: Market | undefined, lang: Lang, t: Translate) {
  return {
    what: `${t(`side.${trade.side}`)} ${outcomeText(market, trade.outcome, t)}`,
    amount: decimal(trade.amount_micros, lang, 2, 2),
    price: decimal(trade.average_price_micros, lang, 3, 3),
  };
}
