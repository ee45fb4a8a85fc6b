/**
 * The clarifications of the market that was chosen, read when there is one more. The
 * stream tells that there is one, not what it says: what was pushed to a page could
 * not be erased there.
 */
import { Problem, type Api } from "../api/api";
import { market as readMarket, type Clarification, type Market } from "../model/model";
import { atMostEvery } from "../ui/frame";

/** Least time before a read that failed is repeated. */
export const REREAD_MS = 2000;

export interface WordsOptions {
  readonly api: () => Api | null;
  readonly onChange: () => void;
  readonly onUnauthorised: () => void;
}

export class Words {
  /** Of the market that is watched; empty until they were read. */
  all: readonly Clarification[] = [];
  private market = "";
  private known = "";
  private asking: AbortController | null = null;
  private readonly later = atMostEvery(() => void this.read(), REREAD_MS);

  constructor(private readonly options: WordsOptions) {}

  /** Turns to a market, or none. Asking for the same clarifications again does nothing. */
  watch(m: Market | undefined): void {
    const known = (m?.clarifications ?? []).map((c) => c.text_id).join();
    if ((m?.market ?? "") === this.market && known === this.known) return;
    if (m?.market !== this.market) this.all = [];
    this.market = m?.market ?? "";
    this.known = known;
    this.asking?.abort();
    if (known !== "") void this.read();
  }

  private async read(): Promise<void> {
    const api = this.options.api();
    if (!api || this.known === "") return;
    this.asking?.abort();
    const asking = new AbortController();
    this.asking = asking;
    try {
      const read = await api.get(`/v1/markets/${encodeURIComponent(this.market)}`, readMarket, asking.signal);
      if (asking.signal.aborted) return;
      this.all = read.clarifications ?? [];
    } catch (err) {
      if (asking.signal.aborted) return;
      if (err instanceof Problem && err.status === 401) return this.options.onUnauthorised();
      return this.later();
    }
    this.options.onChange();
  }
}
