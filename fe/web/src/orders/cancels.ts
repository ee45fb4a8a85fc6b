/**
 * Takes own orders out of the book. A cancellation whose answer got lost keeps
 * its idempotency key, like an order: pressing again asks for the same thing.
 */
import { Problem, refusal, type Api } from "../api/api";
import { OutcomeUnknown, untilDecided } from "../api/submit";
import { decided } from "../model/model";

export type Cancelling =
  | { readonly kind: "sending" }
  /** `all`: of all orders of a market, not of one. */
  | { readonly kind: "done" | "unknown"; readonly all: boolean }
  | { readonly kind: "problem"; readonly code: string; readonly retry: number };

export interface CancelOptions {
  readonly api: () => Api | null;
  readonly newKey: () => string;
  readonly sleep: (ms: number) => Promise<void>;
  readonly onChange: () => void;
  /** What was to be cancelled is gone, or was gone before; `seq` is a decision after which it is. */
  readonly onDecided: (seq: number) => void;
  readonly onUnauthorised: () => void;
}

export class Cancels {
  /** What became of the last one. */
  last: Cancelling | null = null;
  // Both by the id of the order, or of the market whose orders are meant.
  private readonly under = new Set<string>();
  private readonly keys = new Map<string, string>();

  constructor(private readonly options: CancelOptions) {}

  /** Whether the cancellation of an order, or of all orders of a market, is under way. */
  sending(id: string): boolean {
    return this.under.has(id);
  }

  /** What became of the last one has been read. */
  settled(): void {
    if (this.last?.kind !== "sending") this.last = null;
  }

  /** Forgets everything of the one who signed out. */
  reset(): void {
    this.last = null;
    this.under.clear();
    this.keys.clear();
  }

  cancel(order: string): Promise<void> {
    return this.send(order, `/v1/orders/${order}/cancel`, {}, false);
  }

  /** Takes every own order of a market out, those that the page does not show too. */
  cancelAll(market: string): Promise<void> {
    return this.send(market, "/v1/orders/cancel-all", { market }, true);
  }

  private async send(id: string, path: string, body: object, all: boolean): Promise<void> {
    const api = this.options.api();
    if (!api || this.under.has(id)) return;
    const key = this.keys.get(id) ?? this.options.newKey();
    this.keys.set(id, key);
    this.under.add(id);
    this.tell({ kind: "sending" });
    let end: Cancelling;
    let seq: number | null = null;
    try {
      ({ seq } = await untilDecided(() => api.post(path, body, key, decided), this.options.sleep));
      end = { kind: "done", all };
    } catch (err) {
      if (api !== this.options.api()) return;
      if (err instanceof Problem && err.status === 401) return this.options.onUnauthorised();
      end = err instanceof OutcomeUnknown ? { kind: "unknown", all } : refusal(err);
    }
    if (api !== this.options.api()) return;
    this.under.delete(id);
    if (end.kind !== "unknown") this.keys.delete(id);
    this.tell(end);
    // What is not there any more was filled or has expired: the list is old.
    if (seq !== null || (end.kind === "problem" && end.code === "order_not_found")) this.options.onDecided(seq ?? 0);
  }

  private tell(now: Cancelling): void {
    this.last = now;
    this.options.onChange();
  }
}
