/** What the bar says of the trader's credits. */
import type { Lang, Translate } from "../i18n/i18n";
import type { Account, Me } from "../model/model";
import { decimal } from "../money/money";

export function balanceText(me: Me | null, account: Account | null, lang: Lang, t: Translate): string {
  if (me && me.account === null) return t("top.noaccount");
  return account ? decimal(account.available_micros, lang, 2, 2) : "–";
}
