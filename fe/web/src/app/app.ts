/**
 * The page's wiring: session, language, address, stream, and one draw per frame.
 * State lives here; components only draw it.
 */
import { account as accountView } from "../account/account";
import { Holdings } from "../account/holdings";
import { Api, Problem } from "../api/api";
import { newKey } from "../api/submit";
import { book as bookView } from "../book/book";
import { BookFeed } from "../book/feed";
import { HTML_LANG, pickLang, translator, type Lang, type MessageKey } from "../i18n/i18n";
import { login } from "../login/login";
import { begin, current, type Door, end, failureIn } from "../login/session";
import { market } from "../market/market";
import { Words } from "../market/words";
import { markets } from "../markets/markets";
import { fold, NOTHING, ordered } from "../model/live";
import { me, streamEvent, type StreamEvent } from "../model/model";
import type { Actions, Component, State } from "../model/state";
import { Cancels } from "../orders/cancels";
import { orders as ordersView } from "../orders/orders";
import { Board } from "../season/board";
import { season as seasonView } from "../season/season";
import { runStream } from "../stream/stream";
import { Desk } from "../ticket/desk";
import { ticket } from "../ticket/ticket";
import { topbar } from "../topbar/topbar";
import { trades } from "../trades/trades";
import { h, label, setAttribute, setHidden, translate } from "../ui/dom";
import { inGulps, perFrame } from "../ui/frame";
import { measure } from "./measure";
import { keptLang } from "./storage";

/** Bound anew, because fetch has to be called as the window's own. */
const fetching: typeof fetch = (...args) => fetch(...args);

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** The market that an event is about; null of a snapshot, which is about all. */
const marketOf = (e: StreamEvent) => (e.kind === "snapshot" ? null : e.body.market);

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
    provider: null,
    line: "connecting",
    loaded: false,
    live: NOTHING,
    selected: marketInAddress(),
    me: null,
    account: null,
    orders: [],
  };
  private api: Api | null = null;
  private csrf = "";
  private stopStream = () => {};
  private t = translator(this.state.lang);
  private drawnLang: Lang | null = null;
  private readonly components: Component[];
  private readonly page: HTMLElement;
  private readonly redraw = perFrame(() => this.draw(), (run) => requestAnimationFrame(run));
  private readonly gulp = inGulps<StreamEvent>((events) => this.take(events));
  private readonly asked = {
    api: () => this.api,
    newKey: () => newKey(crypto),
    sleep,
    onUnauthorised: () => this.signOut("login.expired"),
  };
  private readonly holdings = new Holdings({
    ...this.asked,
    owner: () => this.state.me?.account ?? null,
    onRead: (account, orders) => this.change({ account, orders }),
  });
  private readonly book = new BookFeed({ ...this.asked, onChange: () => this.redraw() });
  private readonly words = new Words({ ...this.asked, onChange: () => this.redraw() });
  private readonly board = new Board({ ...this.asked, onChange: () => this.redraw() });
  private readonly cancels = new Cancels({
    ...this.asked,
    onChange: () => this.redraw(),
    onDecided: (seq) => void this.holdings.read(seq),
  });
  private readonly desk = new Desk({
    ...this.asked,
    lang: () => this.state.lang,
    account: () => this.state.account,
    now: () => Date.now(),
    onChange: () => {
      this.lookAtBook();
      this.redraw();
    },
    onPlaced: (seq) => void this.holdings.read(seq),
  });

  constructor(private readonly body: HTMLElement) {
    const actions: Actions = {
      signIn: (key) => void this.enter(() => begin(fetching, key), "checking"),
      signOut: () => this.leave(),
      setLang: (lang) => this.setLang(lang),
      desk: this.desk,
      book: this.book,
      cancels: this.cancels,
      words: this.words,
      board: this.board,
    };
    const [bar, door] = [topbar(actions), login(actions)];
    const [list, chosen, levels, recent] = [markets(), market(actions), bookView(actions), trades()];
    const [form, waiting, own, best] = [ticket(actions), ordersView(actions), accountView(), seasonView(actions)];
    this.components = [bar, door, list, chosen, form, levels, waiting, own, best, recent];
    const detail = h("div", { class: "detail" },
      h("div", { class: "column" }, chosen.element, levels.element, recent.element),
      h("div", { class: "column" }, form.element, waiting.element, own.element, best.element));
    this.page = h("main", { class: "page" }, list.element, detail);
    body.replaceChildren(label("a", "app.skip", { href: "#market", class: "skip" }), bar.element, door.element, this.page);
  }

  run(): void {
    addEventListener("hashchange", () => this.followAddress());
    this.desk.set({ market: this.state.selected ?? "" });
    void this.enter(() => current(fetching), "back");
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
    this.cancels.settled();
    this.desk.set({ market: id ?? "", limit: "", ...(this.desk.form.side === "sell" ? { amount: "" } : {}) });
    this.offer();
  }

  private offer(): void {
    this.desk.offer(this.state.live.markets.get(this.desk.form.market)?.outcomes.map((o) => o.outcome) ?? []);
  }

  /** The book follows the ticket's outcome, once the market is known to have it. */
  private lookAtBook(): void {
    const { market, outcome } = this.desk.form;
    const there = this.state.live.markets.get(market)?.outcomes.some((o) => o.outcome === outcome);
    this.book.watch(there ? market : "", there ? outcome : "");
    this.words.watch(this.state.live.markets.get(market));
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
    this.board.moved();
    this.lookAtBook();
    const after = seen();
    const touched = new Set(events.map(marketOf));
    if (before?.outcomes !== after?.outcomes || before?.state !== after?.state) this.desk.priceMoved();
    if (touched.has(this.state.selected) || touched.has(null)) this.book.moved();
    // What waits may have been filled or closed, without an order of one's own
    // now; a payout changes balances; and so may whatever happened while the line
    // was down.
    const paid = events.some((e) => e.kind === "market" && (e.body.state === "resolved" || e.body.state === "canceled"));
    if (touched.has(null) || paid) void this.holdings.read(0);
    else if (this.state.orders.some((o) => touched.has(o.market))) this.holdings.moved();
  }

  private openStream(api: Api): void {
    const stop = new AbortController();
    this.stopStream = () => stop.abort();
    void runStream({
      url: "/v1/stream",
      headers: api.headers(),
      signal: stop.signal,
      fetch: fetching,
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

  /** Goes in with the session that a request gives, if it gives one. */
  private async enter(ask: () => Promise<Door>, phase: "checking" | "back"): Promise<void> {
    if (this.state.phase !== "out") return;
    const failure = failureIn(location.hash);
    if (failure) history.replaceState(null, "", location.pathname);
    this.change({ phase, loginError: null });
    try {
      const { session, sign_in } = await ask();
      this.change({ provider: sign_in });
      if (!session) {
        this.change({ phase: "out", loginError: failure });
        return;
      }
      const api = new Api(session.csrf, fetching);
      const who = await api.get("/v1/me", me);
      [this.api, this.csrf] = [api, session.csrf];
      this.change({ phase: "in", me: who, line: "connecting" });
      this.openStream(api);
      void this.board.read();
    } catch (err) {
      const refused = err instanceof Problem && (err.status === 401 || err.status === 403);
      this.change({ phase: "out", loginError: refused ? "login.refused" : "problem.network" });
    }
  }

  /** Ends the session here and on the server. If that is away, the session ends there by itself. */
  private leave(): void {
    void end(fetching, this.csrf).catch(() => {});
    this.signOut(null);
  }

  private signOut(loginError: MessageKey | null): void {
    this.stopStream();
    this.api = null;
    this.csrf = "";
    this.change({ phase: "out", loginError, live: NOTHING, loaded: false, me: null, account: null, orders: [] });
    this.holdings.reset();
    this.cancels.reset();
    this.board.reset();
    this.words.watch(undefined);
    this.desk.reset();
  }
}
