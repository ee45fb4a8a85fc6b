/**
 * The book of one outcome, read again when its market moved. It is asked for by
 * whoever looks at it: the stream tells that something waits, not what.
 */
import { Problem, type Api } from "../api/api";
import { book as readBook, type Book, type Outcome } from "../model/model";
import { atMostEvery } from "../ui/frame";

/** Levels of each side that are asked for and shown. */
export const DEPTH = 6;

/** Least time between two reads of the same book, and before a failed one is repeated. */
export const REREAD_MS = 1000;

export interface BookOptions {
  readonly api: () => Api | null;
  readonly onChange: () => void;
  readonly onUnauthorised: () => void;
}

export class BookFeed {
  /** Of the outcome that is watched; null until it was read. */
  book: Book | null = null;
  /** The last read got no answer; what is shown may be old. */
  failed = false;
  private market = "";
  private outcome: Outcome = "";
  private asking: AbortController | null = null;
  private readonly later = atMostEvery(() => void this.read(), REREAD_MS);

  constructor(private readonly options: BookOptions) {}

  /** Turns to an outcome; the empty market is none. Asking for the same again does nothing. */
  watch(market: string, outcome: Outcome): void {
    if (market === this.market && outcome === this.outcome) return;
    this.market = market;
    this.outcome = outcome;
    this.asking?.abort();
    this.book = null;
    this.failed = false;
    void this.read();
  }

  /** The market that is watched has moved. */
  moved(): void {
    this.later();
  }

  private async read(): Promise<void> {
    const api = this.options.api();
    if (!api || this.market === "") return;
    this.asking?.abort();
    const asking = new AbortController();
    this.asking = asking;
    try {
      const path = `/v1/markets/${encodeURIComponent(this.market)}/book?outcome=${encodeURIComponent(this.outcome)}&depth=${DEPTH}`;
      const read = await api.get(path, readBook, asking.signal);
      if (asking.signal.aborted) return;
      this.book = read;
      this.failed = false;
    } catch (err) {
      if (asking.signal.aborted) return;
      if (err instanceof Problem && err.status === 401) return this.options.onUnauthorised();
      this.failed = true;
      this.later();
    }
    this.options.onChange();
  }
}
