/**
 * The season to show and the top of its standings: the one that runs, else the last one
 * that ended. It is read again while markets move, as rarely as the server works it out.
 */
import { Problem, type Api } from "../api/api";
import { seasons as readSeasons, standings as readStandings, type Season, type Standings } from "../model/model";
import { atMostEvery } from "../ui/frame";

/** Lines that are asked for and shown. */
export const SHOWN = 10;

/** Least time between two reads: the server works standings out every five seconds. */
export const REREAD_MS = 10_000;

export interface BoardOptions {
  readonly api: () => Api | null;
  readonly onChange: () => void;
  readonly onUnauthorised: () => void;
}

/** The season that people look at; undefined where none has begun. */
export function current(all: readonly Season[]): Season | undefined {
  const begun = all.filter((s) => s.state !== "announced");
  return begun.find((s) => s.state === "running") ?? begun.at(-1);
}

export class Board {
  /** Null until they were read, and where no season has begun. */
  standings: Standings | null = null;
  private asking: AbortController | null = null;
  private readonly later = atMostEvery(() => void this.read(), REREAD_MS);

  constructor(private readonly options: BoardOptions) {}

  /** What accounts have may be worth something else now. */
  moved(): void {
    this.later();
  }

  reset(): void {
    this.asking?.abort();
    this.standings = null;
  }

  /** Reads both. Gives up quietly: the next event reads again. */
  async read(): Promise<void> {
    const api = this.options.api();
    if (!api) return;
    this.asking?.abort();
    const asking = new AbortController();
    this.asking = asking;
    try {
      const season = current((await api.get("/v1/seasons", readSeasons, asking.signal)).seasons);
      const read = season
        ? await api.get(`/v1/seasons/${encodeURIComponent(season.name)}/standings?limit=${SHOWN}`, readStandings, asking.signal)
        : null;
      if (asking.signal.aborted) return;
      this.standings = read;
    } catch (err) {
      if (asking.signal.aborted) return;
      if (err instanceof Problem && err.status === 401) return this.options.onUnauthorised();
      return;
    }
    this.options.onChange();
  }
}
