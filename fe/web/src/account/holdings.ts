/** Reads what the trader holds: credits and shares, and the orders that wait. */
import { Problem, type Api } from "../api/api";
import { account as readAccount, openOrders, type Account, type OpenOrder } from "../model/model";
import { atMostEvery } from "../ui/frame";

/** Tries to read, each of which waits on the server for what is wanted. */
export const TRIES = 4;
export const PAUSE_MS = 500;

/** Least time between two reads because the market moved. */
export const REREAD_MS = 1000;

export interface HoldingsOptions {
  readonly api: () => Api | null;
  /** The key's account, null for a key without one. */
  readonly owner: () => string | null;
  readonly sleep: (ms: number) => Promise<void>;
  readonly onRead: (account: Account, orders: readonly OpenOrder[]) => void;
  readonly onUnauthorised: () => void;
}

export class Holdings {
  /** Sequences of what is shown: an answer that was overtaken is dropped. */
  private seen = { account: 0, orders: 0 };
  private readonly later = atMostEvery(() => void this.read(0), REREAD_MS);

  constructor(private readonly options: HoldingsOptions) {}

  /** Something happened that may have filled an own order. */
  moved(): void {
    this.later();
  }

  reset(): void {
    this.seen = { account: 0, orders: 0 };
  }

  /** Reads both, at least as new as decision `seq`. Gives up quietly: the next event reads again. */
  async read(seq: number): Promise<void> {
    const [api, owner] = [this.options.api(), this.options.owner()];
    if (!api || !owner) return;
    const of = encodeURIComponent(owner);
    for (let n = 0; n < TRIES; n++) {
      try {
        const [own, waiting] = await Promise.all([
          api.get(`/v1/accounts/${of}?min_seq=${seq}`, readAccount),
          api.get(`/v1/orders?account=${of}&min_seq=${seq}`, openOrders),
        ]);
        if (api !== this.options.api() || own.seq < this.seen.account || waiting.seq < this.seen.orders) return;
        this.seen = { account: own.seq, orders: waiting.seq };
        this.options.onRead(own, waiting.orders);
        return;
      } catch (err) {
        if (api !== this.options.api()) return;
        if (err instanceof Problem && err.status === 401) return this.options.onUnauthorised();
      }
      await this.options.sleep(PAUSE_MS);
    }
  }
}
