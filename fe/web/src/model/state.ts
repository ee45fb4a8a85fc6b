/** Everything that the page draws from, and what people can do to it. */
import type { BookFeed } from "../book/feed";
import type { Lang, MessageKey, Translate } from "../i18n/i18n";
import type { Words } from "../market/words";
import type { Cancels } from "../orders/cancels";
import type { Board } from "../season/board";
import type { LiveState } from "../stream/stream";
import type { Desk } from "../ticket/desk";
import type { Live } from "./live";
import type { Account, Me, OpenOrder } from "./model";

export interface State {
  readonly lang: Lang;
  /** `back`: whether this browser has signed in is being asked. */
  readonly phase: "out" | "checking" | "back" | "in";
  readonly loginError: MessageKey | null;
  /** Where people sign in at the house's identity provider; null: by key alone. */
  readonly provider: string | null;
  readonly line: LiveState;
  /** A snapshot has come: an empty list means that there is no market. */
  readonly loaded: boolean;
  readonly live: Live;
  readonly selected: string | null;
  readonly me: Me | null;
  readonly account: Account | null;
  /** Own orders that wait in the books, the oldest first. */
  readonly orders: readonly OpenOrder[];
}

export interface Actions {
  readonly signIn: (key: string) => void;
  readonly signOut: () => void;
  readonly setLang: (lang: Lang) => void;
  readonly desk: Desk;
  readonly book: BookFeed;
  readonly cancels: Cancels;
  readonly words: Words;
  readonly board: Board;
}

/** A part of the page: it is built once and draws what has changed since. */
export interface Component {
  readonly element: HTMLElement;
  readonly draw: (state: State, t: Translate) => void;
}
