/**
 * The page's wiring: session, language, address, stream, and one draw per frame.
 * State lives here; components only draw it.
 */
import { account as accountView } from "../account/account";
import { Api, Problem } from "../api/api";
import { newKey } from "../api/submit";
import { HTML_LANG, pickLang, translator, type Lang, type MessageKey } from "../i18n/i18n";
import { login } from "../login/login";
import { market } from "../market/market";
import { markets } from "../markets/markets";
import { fold, NOTHING, ordered } from "../model/live";
import { account, me, streamEvent, type StreamEvent } from "../model/model";
import type { Actions, Component, State } from "../model/state";
import { runStream } from "../stream/stream";
import { Desk } from "../ticket/desk";
import { ticket } from "../ticket/ticket";
import { topbar } from "../topbar/topbar";
import { trades } from "../trades/trades";
import { h, label, setAttribute, setHidden, translate } from "../ui/dom";
import { inGulps, perFrame } from "../ui/frame";
import { measure } from "./measure";
import { keptKey, keptLang } from "./storage";

/** Tries to read the account, each of which waits on the server for what is wanted. */
const ACCOUNT_TRIES = 4;
const ACCOUNT_PAUSE_MS = 500;

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

const marketInAddress = () => /^#(mkt_\d+)$/.exec(location.hash)?.[1] ?? null;

/** Builds the page and starts it. */
export function start(body: HTMLElement): void {
  new App(body).run();
}

class App {
  private state: State = {
    lang: pickLang(keptLang.read(), navigator.languages),
    phase: "out",
    loginError: null,
    line: "connecting",
    loaded: false,
    live: NOTHING,
    selected: marketInAddress(),
    me: null,
    account: null,
  };
  private api: Api | null = null;
  private stopStream = () => {};
  private t = translator(this.state.lang);
  private drawnLang: Lang | null = null;
  private readonly components: Component[];
  private readonly page: HTMLElement;
  private readonly redraw = perFrame(() => this.draw(), (run) => requestAnimationFrame(run));
  private readonly gulp = inGulps<StreamEvent>((events) => this.take(events));
  private readonly desk = new Desk({
    api: () => this.api,
    lang: () => this.state.lang,
    account: () => this.state.account,
    newKey: () => newKey(crypto),
    sleep,
    onChange: () => this.redraw(),
    onFill: (fill) => void this.readAccount(fill.seq),
    onUnauthorised: () => this.signOut("login.expired"),
  });

  constructor(private readonly body: HTMLElement) {
    const actions: Actions = {
      signIn: (key) => void this.enter(key),
      signOut: () => this.signOut(null),
      setLang: (lang) => this.setLang(lang),
      desk: this.desk,
    };
    const [bar, door] = [topbar(actions), login(actions)];
    const [list, chosen, form, own, recent] = [markets(), market(), ticket(actions), accountView(), trades()];
    this.components = [bar, door, list, chosen, form, own, recent];
    const detail = h("div", { class: "detail" },
      h("div", { class: "column" }, chosen.element, recent.element),
      h("div", { class: "column" }, form.element, own.element));
    this.page = h("main", { class: "page" }, list.element, detail);
    body.replaceChildren(label("a", "app.skip", { href: "#market", class: "skip" }), bar.element, door.element, this.page);
  }

  run(): void {
    addEventListener("hashchange", () => this.followAddress());
    this.desk.set({ market: this.state.selected ?? "" });
    const key = keptKey.read();
    if (key) void this.enter(key, "back");
    this.draw();
    void measure();
  }

  private change(patch: Partial<State>): void {
    this.state = { ...this.state, ...patch };
    this.redraw();
  }

  private draw(): void {
    const { lang, phase } = this.state;
    if (this.drawnLang !== lang) {
      this.drawnLang = lang;
      this.t = translator(lang);
      setAttribute(document.documentElement, "lang", HTML_LANG[lang]);
      document.title = this.t("app.title");
      translate(this.body, this.t);
    }
    setHidden(this.page, phase !== "in");
    for (const component of this.components) component.draw(this.state, this.t);
  }

  private setLang(lang: Lang): void {
    keptLang.write(lang);
    this.change({ lang });
    this.desk.set({}); // the digits typed may read differently
  }

  private select(id: string | null): void {
    if (id === this.state.selected && this.desk.form.market === (id ?? "")) return;
    this.change({ selected: id });
    this.desk.set({ market: id ?? "", limit: "", ...(this.desk.form.side === "sell" ? { amount: "" } : {}) });
    this.offer();
  }

  private offer(): void {
    this.desk.offer(this.state.live.markets.get(this.desk.form.market)?.outcomes.map((o) => o.outcome) ?? []);
  }

  private followAddress(): void {
    const id = marketInAddress();
    if (!id || !this.state.live.markets.has(id)) return;
    this.select(id);
    // On a narrow screen the market lies above the list that was pressed.
    requestAnimationFrame(() => document.getElementById("market")?.focus());
  }

  /** Takes what the stream brought since the last gulp. */
  private take(events: readonly StreamEvent[]): void {
    if (this.state.phase !== "in") return;
    const seen = () => this.state.live.markets.get(this.state.selected ?? "");
    const before = seen();
    const live = fold(this.state.live, events, Date.now());
    this.change({ live, loaded: this.state.loaded || events.some((e) => e.kind === "snapshot") });
    if (!seen()) this.select(ordered(live.markets)[0]?.market ?? null);
    this.offer();
    const after = seen();
    if (before?.outcomes !== after?.outcomes || before?.state !== after?.state) this.desk.priceMoved();
    // A payout changes balances without an order of one's own; so may whatever
    // happened while the line was down.
    if (events.some((e) => e.kind === "snapshot" || (e.kind === "market" && (e.body.state === "resolved" || e.body.state === "canceled")))) void this.readAccount(0);
  }

  private openStream(api: Api): void {
    const stop = new AbortController();
    this.stopStream = () => stop.abort();
    void runStream({
      url: "/v1/stream",
      headers: api.headers(),
      signal: stop.signal,
      fetch: (...args) => fetch(...args),
      random: Math.random,
      onEvent: ({ event, data }) => {
        const read = streamEvent(event, data);
        if (read) this.gulp(read, read.kind === "snapshot");
      },
      onState: (line) => {
        if (this.state.line !== line) this.change({ line });
      },
      onUnauthorised: () => this.signOut("login.expired"),
      wake: (givenUp) => new Promise((resolve) => addEventListener("online", () => resolve(), { once: true, signal: givenUp })),
    });
  }

  /** Reads balance and positions, at least as new as decision `seq`. */
  private async readAccount(seq: number): Promise<void> {
    const { api, state } = this;
    if (!api || !state.me?.account) return;
    const path = `/v1/accounts/${encodeURIComponent(state.me.account)}?min_seq=${seq}`;
    for (let n = 0; n < ACCOUNT_TRIES; n++) {
      try {
        const read = await api.get(path, account);
        if (api === this.api && read.seq >= (this.state.account?.seq ?? 0)) this.change({ account: read });
        return;
      } catch (err) {
        if (api !== this.api) return;
        if (err instanceof Problem && err.status === 401) return this.signOut("login.expired");
      }
      await sleep(ACCOUNT_PAUSE_MS);
    }
  }

  private async enter(key: string, phase: "checking" | "back" = "checking"): Promise<void> {
    if (this.state.phase !== "out") return;
    const api = new Api(key, (...args) => fetch(...args));
    this.change({ phase, loginError: null });
    try {
      const who = await api.get("/v1/me", me);
      keptKey.write(key);
      this.api = api;
      this.change({ phase: "in", me: who, line: "connecting" });
      this.openStream(api);
    } catch (err) {
      const refused = err instanceof Problem && (err.status === 401 || err.status === 403);
      if (refused) keptKey.write(null);
      this.change({ phase: "out", loginError: refused ? "login.refused" : "problem.network" });
    }
  }

  private signOut(loginError: MessageKey | null): void {
    this.stopStream();
    this.api = null;
    keptKey.write(null);
    this.change({ phase: "out", loginError, live: NOTHING, loaded: false, me: null, account: null });
    this.desk.reset();
  }
}
