/**
 * The desk behind the ticket: it keeps the form, its quote and the order under
 * way, and knows nothing of the page. A quote is asked for when typing pauses
 * and again when the market has moved; an order goes out once, whatever happens
 * to the line.
 */
import { NoAnswer, Problem, refusal, type Api } from "../api/api";
import { OutcomeUnknown, untilDecided } from "../api/submit";
import type { Lang } from "../i18n/i18n";
import { placed as readPlaced, quote as readQuote, type Account, type Outcome, type Placed, type Quote } from "../model/model";
import { debounced } from "../ui/frame";
import { filled, isPartial, orderBody, quotePath, read, shortOf, type Form, type OrderBody, type Reading } from "./order";

/** Pause in typing after which a quote is asked for. */
export const TYPING_MS = 150;

/** Least time between two quotes of an unchanged form, and before a failed one is repeated. */
export const REQUOTE_MS = 1000;

export type QuoteState =
  | { readonly kind: "none" | "loading" | "stale" }
  | { readonly kind: "problem"; readonly code: string; readonly retry: number }
  | { readonly kind: "ready"; readonly quote: Quote };

export type Result =
  /** `rested`: nothing was filled, all of it waits. */
  | { readonly kind: "filled" | "rested"; readonly placed: Placed; readonly partial: boolean }
  | { readonly kind: "problem"; readonly code: string; readonly retry: number }
  | { readonly kind: "unknown" };

export interface DeskOptions {
  readonly api: () => Api | null;
  readonly lang: () => Lang;
  readonly account: () => Account | null;
  /** The time, in ms. */
  readonly now: () => number;
  readonly newKey: () => string;
  readonly sleep: (ms: number) => Promise<void>;
  readonly onChange: () => void;
  /** An order took effect with decision `seq`. */
  readonly onPlaced: (seq: number) => void;
  readonly onUnauthorised: () => void;
}

export const EMPTY: Form = {
  market: "", side: "buy", outcome: "YES", kind: "market", amount: "", protect: "20000", limit: "", tif: "gtc", expires: "", post: false,
};

export class Desk {
  form = EMPTY;
  quote: QuoteState = { kind: "none" };
  result: Result | null = null;
  sending = false;
  /** An order whose fate is not known, with the form it came from. */
  private open: { readonly form: Form; readonly body: OrderBody; readonly key: string } | null = null;
  private asking: AbortController | null = null;
  private readonly askAfterTyping = debounced(() => void this.ask(), TYPING_MS);
  private readonly askAfterMove = debounced(() => void this.ask(), REQUOTE_MS);
  private moved = false;

  constructor(private readonly options: DeskOptions) {}

  reading(): Reading {
    return read(this.form, this.options.lang(), this.options.now());
  }

  /** Takes what was filled in. While an order is on its way the form rests. */
  set(patch: Partial<Form>): void {
    if (this.sending) return;
    this.form = { ...this.form, ...patch };
    this.open = null;
    this.result = null;
    this.asking?.abort();
    this.quote = { kind: this.reading().ok ? "loading" : "none" };
    this.askAfterTyping();
    this.options.onChange();
  }

  /** The outcomes of the form's market: the first is chosen where the form names none of them. */
  offer(outcomes: readonly Outcome[]): void {
    const first = outcomes[0];
    if (first === undefined || outcomes.includes(this.form.outcome)) return;
    this.set({ outcome: first, limit: "", ...(this.form.side === "sell" ? { amount: "" } : {}) });
  }

  /** Forgets everything of the one who signed out. */
  reset(): void {
    this.asking?.abort();
    this.form = { ...EMPTY, market: this.form.market };
    this.quote = { kind: "none" };
    this.result = null;
    this.open = null;
    this.sending = false;
    this.options.onChange();
  }

  /** The market's price has moved: the quote is refreshed, at most once a second. */
  priceMoved(): void {
    if (this.moved || this.sending || this.open) return;
    if (this.quote.kind !== "ready" && this.quote.kind !== "problem") return;
    this.moved = true;
    this.askAfterMove();
  }

  canSubmit(): boolean {
    if (this.sending) return false;
    return this.open !== null || this.quote.kind === "ready";
  }

  async submit(): Promise<void> {
    const api = this.options.api();
    if (!api || !this.canSubmit()) return;
    const order = this.open ?? this.newOrder();
    if (!order) return;
    this.open = order;
    this.asking?.abort();
    this.sending = true;
    this.result = null;
    this.options.onChange();
    try {
      const placed = await untilDecided(() => api.post("/v1/orders", order.body, order.key, readPlaced), this.options.sleep);
      if (api !== this.options.api()) return; // of the one who signed out
      this.finish({ kind: filled(placed) ? "filled" : "rested", placed, partial: isPartial(order.body, placed) });
      this.options.onPlaced(placed.seq);
    } catch (err) {
      if (api !== this.options.api()) return;
      this.sending = false;
      if (err instanceof OutcomeUnknown) {
        this.result = { kind: "unknown" };
        this.options.onChange();
      } else if (err instanceof Problem && err.status === 401) {
        this.options.onUnauthorised();
      } else {
        this.finish(refusal(err));
      }
    }
  }

  private newOrder() {
    const reading = this.reading();
    if (!reading.ok || this.quote.kind !== "ready") return null;
    return { form: this.form, body: orderBody(this.form, reading, this.quote.quote), key: this.options.newKey() };
  }

  /** The order's fate is known: the form of one that took effect starts empty, so that it is not sent twice by habit. */
  private finish(result: Result): void {
    this.sending = false;
    this.open = null;
    this.set(result.kind === "filled" || result.kind === "rested" ? { amount: "" } : {});
    this.result = result;
    this.options.onChange();
  }

  private async ask(): Promise<void> {
    this.moved = false;
    const api = this.options.api();
    const reading = this.reading();
    if (!api || !reading.ok || this.sending || this.open || this.form.market === "") return;
    this.asking?.abort();
    const asking = new AbortController();
    this.asking = asking;
    let next: QuoteState;
    try {
      const quote = await api.get(quotePath(this.form, reading), readQuote, asking.signal);
      const code = quote.code === "ok" ? shortOf(quote, reading.limit, this.options.account()) : quote.code;
      next = code === null ? { kind: "ready", quote } : { kind: "problem", code, retry: 0 };
    } catch (err) {
      if (asking.signal.aborted) return;
      if (err instanceof NoAnswer || (err instanceof Problem && err.status >= 500)) {
        next = { kind: "stale" };
        this.askAfterMove();
      } else if (err instanceof Problem && err.status === 401) {
        this.options.onUnauthorised();
        return;
      } else {
        next = refusal(err);
      }
    }
    if (asking.signal.aborted) return;
    this.quote = next;
    this.options.onChange();
  }
}
