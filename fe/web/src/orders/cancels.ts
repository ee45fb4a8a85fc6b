/**
 * Takes own orders out of the book. A cancellation whose answer got lost keeps
 * its idempotency key, like an order: pressing again asks for the same thing.
 */
import { Problem, refusal, type Api } from "../api/api";
import { OutcomeUnknown, untilDecided } from "../api/submit";
import { decided } from "../model/model";

export type Cancelling =
  | { readonly kind: "sending" | "done" | "unknown" }
  | { readonly kind: "problem"; readonly code: string; readonly retry: number };

export interface CancelOptions {
  readonly api: () => Api | null;
  readonly newKey: () => string;
  readonly sleep: (ms: number) => Promise<void>;
  readonly onChange: () => void;
  /** The order is gone, or was gone before; `seq` is a decision after which it is. */
  readonly onDecided: (seq: number) => void;
  readonly onUnauthorised: () => void;
}

export class Cancels {
  /** What became of the last one. */
  last: Cancelling | null = null;
  private readonly under = new Set<string>();
  private readonly keys = new Map<string, string>();

  constructor(private readonly options: CancelOptions) {}

  sending(order: string): boolean {
    return this.under.has(order);
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

  async cancel(order: string): Promise<void> {
    const api = this.options.api();
    if (!api || this.under.has(order)) return;
    const key = this.keys.get(order) ?? this.options.newKey();
    this.keys.set(order, key);
    this.under.add(order);
    this.tell({ kind: "sending" });
    let end: Cancelling;
    let seq: number | null = null;
    try {
      ({ seq } = await untilDecided(() => api.post(`/v1/orders/${order}/cancel`, {}, key, decided), this.options.sleep));
      end = { kind: "done" };
    } catch (err) {
      if (api !== this.options.api()) return;
      if (err instanceof Problem && err.status === 401) return this.options.onUnauthorised();
      end = err instanceof OutcomeUnknown ? { kind: "unknown" } : refusal(err);
    }
    if (api !== this.options.api()) return;
    this.under.delete(order);
    if (end.kind !== "unknown") this.keys.delete(order);
    this.tell(end);
    // What is not there any more was filled or has expired: the list is old.
    if (seq !== null || (end.kind === "problem" && end.code === "order_not_found")) this.options.onDecided(seq ?? 0);
  }

  private tell(now: Cancelling): void {
    this.last = now;
    this.options.onChange();
  }
}
