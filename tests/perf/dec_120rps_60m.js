// The load of the release gate: 120 DEC requests a second for 60 minutes, sent
// by traders through the public API, with reads on top.
//
//   k6 run -e FIXTURES=/abs/traders.json -e SUMMARY=/abs/summary.json tests/perf/dec_120rps_60m.js
//
//   FIXTURES  what `mbp seed --out` wrote (markets with weights, traders with keys)
//   SUMMARY   where the end-of-test data goes (default: k6_summary.json)
//   BASE_URL  default: base_url of FIXTURES
//   RATE      DEC requests a second (120)       READ_RATE  reads a second (20)
//   DURATION  60m; also 90s or 1h               SEED       of the traders' choices (1)
//
// The model is open: requests start on time whether or not earlier ones are
// answered, so a slow server cannot slow the load that measures it. Every bound
// below stands in ops/obs/measurement_s4.csv too; docs/docs_test.go compares them.
//
// k6 lets a threshold pass that has no samples. Counters therefore get a zero in
// setup(), and dec_completed has to reach the number of requests that were due.

import http from 'k6/http';
import exec from 'k6/execution';
import { SharedArray } from 'k6/data';
import { Counter, Rate, Trend } from 'k6/metrics';

const BOUND_MS = 800;
const CREDIT = 1_000_000; // micros

const RATE = whole('RATE', 120);
const READ_RATE = whole('READ_RATE', 20);
const SEED = whole('SEED', 1);
const SECONDS = seconds(__ENV.DURATION || '60m');
const EXPECTED = RATE * SECONDS;

// After the last request the scenario ticks on for a moment without sending
// anything. A tick that k6 starts late still finds its request, so EXPECTED is
// exact; and Prometheus scrapes the last answers before the load window closes.
const TAIL_SECONDS = 3;

// A hundred carry 120/s up to a mean latency of 833 ms, just above the bound. A
// server slower than that makes k6 drop iterations, which is a criterion.
const VUS = 100;
const READ_VUS = 20;

const TIMEOUT = '10s';

// What the API may answer: the engine's codes, the edge's, and the client's own
// words for no answer and for a code that is not listed.
const CODES = [
  'ok', 'invalid_command', 'account_not_found', 'market_not_found', 'insufficient_funds', 'insufficient_shares',
  'rate_limited', 'market_not_open', 'market_closed', 'price_limit', 'fok_unfilled', 'too_small', 'wrong_state',
  'template_bounds', 'limit_reached', 'frozen', 'self_trades', 'position_limit', 'interest_limit', 'cooling_down',
  'account_limited', 'read_only', 'draining', 'malformed', 'unauthenticated', 'forbidden', 'too_large',
  'idempotency_conflict', 'overloaded', 'too_many_requests', 'not_leader', 'failed', 'unanswered', 'other',
];
// Rejections that are business as usual: a price moved, money ran out, a market
// was halted. Any other 4xx means that client and server disagree.
const EXPECTED_REJECTIONS = new Set(['price_limit', 'fok_unfilled', 'insufficient_funds', 'frozen', 'cooling_down', 'market_not_open']);
const MIX = ['buy_yes', 'buy_no', 'sell_yes', 'sell_no', 'ioc', 'fok', 'by_amount', 'by_shares', 'limited'];

const file = new SharedArray('fixtures', () => {
  const f = JSON.parse(open(__ENV.FIXTURES));
  if (!(f.markets.length > 0 && f.traders.length > 0)) throw new Error('FIXTURES has no markets or no traders');
  return [{ base: f.base_url, markets: f.markets }];
});
const traders = new SharedArray('traders', () => JSON.parse(open(__ENV.FIXTURES)).traders);
const markets = file[0].markets;
const BASE = (__ENV.BASE_URL || file[0].base || 'http://127.0.0.1:8420').replace(/\/$/, '');

const dec = {
  completed: new Counter('dec_completed'),
  effective: new Rate('dec_effective_ratio'),
  within: new Rate('dec_within_800ms'),
  frozen: new Rate('dec_frozen'),
  rateLimited: new Rate('dec_rate_limited'),
  noFunds: new Rate('dec_insufficient_funds'),
  http5xx: new Counter('dec_5xx'),
  http429: new Counter('dec_429'),
  http4xx: new Counter('dec_4xx_unexpected'),
  unanswered: new Counter('dec_unanswered'),
  codes: new Counter('dec_codes'),
  mix: new Counter('dec_mix'),
  markets: new Counter('dec_markets'),
  accounts: new Counter('dec_accounts'),
  started: new Trend('dec_started_s'),
};
const readFailures = new Counter('read_failures');

const recorded = ['count>=0']; // a submetric is in the summary only if it has a threshold
export const options = {
  discardResponseBodies: false,
  systemTags: ['status', 'method', 'name', 'scenario', 'expected_response', 'error_code'],
  summaryTrendStats: ['min', 'avg', 'med', 'p(50)', 'p(90)', 'p(95)', 'p(99)', 'max', 'count'],
  setupTimeout: '60s',
  scenarios: {
    dec: {
      executor: 'constant-arrival-rate', exec: 'decide', rate: RATE, timeUnit: '1s', duration: `${SECONDS + TAIL_SECONDS}s`,
      preAllocatedVUs: VUS, maxVUs: VUS, gracefulStop: TIMEOUT,
    },
    reads: {
      executor: 'constant-arrival-rate', exec: 'read', rate: READ_RATE, timeUnit: '1s', duration: `${SECONDS}s`,
      preAllocatedVUs: READ_VUS, maxVUs: READ_VUS, gracefulStop: TIMEOUT,
    },
  },
  thresholds: Object.assign({
    'http_req_duration{kind:dec}': [`p(95)<=${BOUND_MS}`],
    dec_within_800ms: ['rate>=0.95'],
    dec_effective_ratio: ['rate>=0.95'],
    dec_frozen: ['rate<=0.01'],
    dec_rate_limited: ['rate<=0.01'],
    dec_insufficient_funds: ['rate<=0.01'],
    dec_5xx: ['count==0'],
    dec_429: ['count==0'],
    dec_4xx_unexpected: ['count==0'],
    dec_unanswered: ['count==0'],
    dec_completed: [`count==${EXPECTED}`],
    'dropped_iterations{scenario:dec}': ['count==0'],
    read_failures: ['count==0'],
    'http_req_duration{kind:read}': ['max>=0'],
    'http_reqs{kind:dec}': recorded,
    'http_reqs{kind:read}': recorded,
  }, ...CODES.map((c) => ({ [`dec_codes{code:${c}}`]: recorded })),
  ...MIX.map((m) => ({ [`dec_mix{of:${m}}`]: recorded })),
  ...markets.map((m) => ({ [`dec_markets{market:${m.market}}`]: recorded }))),
};

// setup reads where the markets stand and gives every counter its zero.
export function setup() {
  const known = {};
  for (let after = ''; ;) {
    const r = get('GET /v1/markets', `/v1/markets?limit=50${after && `&after=${after}`}`, traders[0].key);
    if (r.status !== 200) throw new Error(`GET ${BASE}/v1/markets answers ${r.status} ${r.error}: ${r.body}`);
    const page = r.json();
    for (const m of page.markets) known[m.market] = { price: m.outcomes[0].price_micros, pool: Math.min(...m.outcomes.map((o) => o.pool_micros)), open: m.state === 'open' };
    if (!page.next) break;
    after = page.next;
  }
  for (const m of markets) {
    if (!known[m.market]?.open) throw new Error(`market ${m.market} of FIXTURES is not open`);
  }
  for (const c of [dec.completed, dec.http5xx, dec.http429, dec.http4xx, dec.unanswered, dec.accounts, readFailures]) c.add(0);
  for (const code of CODES) dec.codes.add(0, { code });
  for (const of of MIX) dec.mix.add(0, { of });
  for (const m of markets) dec.markets.add(0, { market: m.market });
  return { run: Date.now().toString(36), known };
}

// ---- one virtual user: some accounts that nobody else uses, and its beliefs ----

let beliefs; // market → { price: last seen YES price, fair: where this user thinks it belongs, pool: the smaller one at the start }
const mine = []; // accounts with what they hold, as this user knows it

function begin(data) {
  if (beliefs) return;
  counter = SEED * 1_000_003 + exec.vu.idInTest * 65_537;
  beliefs = {};
  for (const m of markets) {
    const { price, pool } = data.known[m.market];
    beliefs[m.market] = { price, pool, fair: clamp(price + 30_000 * normal(), 80_000, 920_000) };
  }
}

// accountFor gives the n-th DEC request its account. The first requests each
// claim the account of their number, so that every account trades and belongs
// to one user; later ones take an account of this user's own.
function accountFor(n) {
  if (n < traders.length) {
    const { account, key } = traders[n];
    dec.accounts.add(1);
    mine.push({ account, key, funds: 0, held: {}, stale: true });
    return mine[mine.length - 1];
  }
  if (mine.length > 0) return mine[Math.floor(random() * mine.length)];
  const { account, key } = traders[n % traders.length]; // of another user: only buy with it
  return { account, key, funds: Infinity, held: {}, stale: false };
}

// refresh reads what the account holds: at first sight, and after an answer that
// did not come.
function refresh(a) {
  const r = get('GET /v1/accounts/{id}', `/v1/accounts/${a.account}`, a.key);
  if (r.status !== 200) return;
  const view = r.json();
  a.funds = view.available_micros;
  a.held = {};
  for (const p of view.positions) a.held[`${p.market} ${p.outcome}`] = p.shares_micros - (p.reserved_micros || 0);
  a.stale = false;
}

// choose makes an order: towards what this user believes, by selling what it
// holds of the other outcome or by buying.
function choose(a, market) {
  const b = beliefs[market];
  const up = random() < clamp(0.5 + 5 * (b.fair - b.price) / CREDIT, 0.1, 0.9);
  const against = up ? 'NO' : 'YES';
  const held = a.held[`${market} ${against}`] || 0;
  const tif = random() < 0.2 ? 'fok' : 'ioc';
  if (held >= 20_000 && random() < 0.6) {
    const part = random() < 0.5 ? held : Math.floor(held / 2);
    return { market, outcome: against, side: 'sell', tif, shares_micros: part };
  }
  const size = Math.min(Math.exp(0.8 * normal()) * CREDIT, 5 * CREDIT, b.pool / 500, a.funds);
  const amount = Math.max(Math.floor(size), 50_000);
  const order = { market, outcome: up ? 'YES' : 'NO', side: 'buy', tif };
  const price = up ? b.price : CREDIT - b.price;
  if (random() < 0.1) order.shares_micros = Math.max(Math.floor(amount * CREDIT / price), 50_000);
  else order.amount_micros = amount;
  return order;
}

// limit looks at a quote first, as a careful trader does, and allows 1 % and a
// tenth of a point beyond it.
function limit(order, key) {
  const size = order.amount_micros ? `amount_micros=${order.amount_micros}` : `shares_micros=${order.shares_micros}`;
  const r = get('GET /v1/quotes', `/v1/quotes?market=${order.market}&outcome=${order.outcome}&side=${order.side}&${size}`, key);
  if (r.status !== 200) return;
  const after = r.json('price_after_micros');
  if (!(after > 0)) return;
  order.limit_price_micros = order.side === 'buy'
    ? Math.min(Math.ceil(after * 1.01) + 1000, 989_999) : Math.max(Math.floor(after * 0.99) - 1000, 10_001);
}

export function decide(data) {
  const n = exec.scenario.iterationInTest;
  if (n >= EXPECTED) return; // the tail
  begin(data);
  const a = accountFor(n);
  if (a.stale) refresh(a);
  const market = weighted();
  const order = choose(a, market);
  if (random() < 0.3) limit(order, a.key);

  dec.started.add((Date.now() - exec.scenario.startTime) / 1000);
  const r = http.post(`${BASE}/v1/orders`, JSON.stringify(order), {
    headers: { Authorization: `Bearer ${a.key}`, 'Content-Type': 'application/json', 'Idempotency-Key': `k6-${data.run}-${n}` },
    tags: { kind: 'dec', name: 'POST /v1/orders' }, timeout: TIMEOUT,
  });
  learn(a, order, count(order, r));
}

// count books an answer into the metrics and returns the fill, if there is one.
function count(order, r) {
  const body = parsed(r);
  const fill = r.status === 201 && body?.events?.find((e) => e.type === 'order_filled');
  let code = r.status === 0 ? 'unanswered' : body?.code;
  if (!CODES.includes(code)) code = 'other';
  dec.completed.add(1);
  dec.within.add(r.status !== 0 && r.timings.duration <= BOUND_MS);
  dec.effective.add(Boolean(fill && fill.shares_micros > 0));
  dec.frozen.add(code === 'frozen' || code === 'cooling_down' || code === 'market_not_open');
  dec.rateLimited.add(code === 'rate_limited');
  dec.noFunds.add(code === 'insufficient_funds');
  dec.codes.add(1, { code });
  if (r.status === 0) dec.unanswered.add(1);
  else if (r.status >= 500) dec.http5xx.add(1);
  else if (r.status === 429) dec.http429.add(1);
  else if (r.status !== 201 && !(r.status >= 400 && EXPECTED_REJECTIONS.has(code))) dec.http4xx.add(1);
  dec.markets.add(1, { market: order.market });
  dec.mix.add(1, { of: `${order.side}_${order.outcome.toLowerCase()}` });
  dec.mix.add(1, { of: order.tif });
  dec.mix.add(1, { of: order.amount_micros ? 'by_amount' : 'by_shares' });
  if (order.limit_price_micros) dec.mix.add(1, { of: 'limited' });
  return fill || null;
}

// learn keeps this user's knowledge up to date with the fill; without one it
// looks again before it trades with the account the next time.
function learn(a, order, fill) {
  if (!fill) {
    a.stale = a.funds !== Infinity;
    return;
  }
  const sign = order.side === 'buy' ? 1 : -1;
  const held = `${order.market} ${order.outcome}`;
  a.funds -= sign * fill.amount_micros + fill.fee_micros;
  a.held[held] = (a.held[held] || 0) + sign * fill.shares_micros;
  const b = beliefs[order.market];
  b.price = order.outcome === 'YES' ? fill.price_after_micros : CREDIT - fill.price_after_micros;
}

export function read() {
  if (counter === 0) counter = -SEED * 1_000_003 - exec.vu.idInTest * 65_537;
  const { key } = traders[Math.floor(random() * traders.length)];
  const market = weighted();
  const dice = random();
  let r;
  if (dice < 0.6) r = get('GET /v1/quotes', `/v1/quotes?market=${market}&outcome=YES&side=buy&amount_micros=${CREDIT}`, key);
  else if (dice < 0.85) r = get('GET /v1/markets/{id}', `/v1/markets/${market}`, key);
  else r = get('GET /v1/markets', '/v1/markets?limit=50', key);
  if (r.status !== 200) readFailures.add(1);
}

// ---- the end ----

export function handleSummary(data) {
  const gate = summarise(data.metrics);
  const line = (name, values) => `${name.padEnd(10)} ${Object.entries(values).map(([k, v]) => `${k} ${v}`).join('  ')}`;
  const seen = (o) => Object.fromEntries(Object.entries(o).filter(([, v]) => v > 0));
  const failed = Object.entries(data.metrics).flatMap(([name, m]) => Object.entries(m.thresholds || {}).filter(([, t]) => !t.ok).map(([t]) => `  ${name} ${t}`));
  const text = [
    line('requests', { expected: gate.expected_iterations, completed: gate.completed, dropped: gate.dropped, 'per s': gate.achieved_rps.toFixed(2) }),
    line('latency ms', Object.fromEntries(Object.entries(gate.latency).map(([k, v]) => [k, v.toFixed(2)]))),
    line('codes', seen(gate.codes)), line('mix', gate.mix),
    line('markets', { traded: gate.markets.traded, 'top share': gate.markets.top_share.toFixed(3) }) + `  accounts ${gate.accounts}`,
    failed.length > 0 ? `thresholds that do not hold:\n${failed.join('\n')}` : 'all thresholds hold',
  ].join('\n');
  const out = { metrics: data.metrics, state: data.state, gate };
  return { stdout: `${text}\n`, [__ENV.SUMMARY || 'k6_summary.json']: JSON.stringify(out, null, 1) };
}

function summarise(metrics) {
  const stat = (metric, name) => metrics[metric]?.values[name] ?? 0;
  const counts = (metric, tag, names) => Object.fromEntries(names.map((n) => [n, stat(`${metric}{${tag}:${n}}`, 'count')]));
  const completed = stat('dec_completed', 'count');
  const perMarket = Object.values(counts('dec_markets', 'market', markets.map((m) => m.market)));
  const span = stat('dec_started_s', 'max') - stat('dec_started_s', 'min');
  return {
    expected_iterations: EXPECTED,
    completed,
    // k6's own count too: an iteration it dropped may have been made up for in the tail.
    dropped: Math.max(EXPECTED - completed, stat('dropped_iterations{scenario:dec}', 'count')),
    achieved_rps: span > 0 ? (completed - 1) / span : 0,
    rate: RATE,
    seconds: SECONDS,
    accounts: stat('dec_accounts', 'count'),
    reads: stat('http_reqs{kind:read}', 'count'),
    mix: counts('dec_mix', 'of', MIX),
    codes: counts('dec_codes', 'code', CODES),
    markets: { traded: perMarket.filter((c) => c > 0).length, top_share: Math.max(...perMarket) / Math.max(completed, 1) },
    latency: Object.fromEntries([['p50', 'p(50)'], ['p95', 'p(95)'], ['p99', 'p(99)'], ['max', 'max']].map(([k, s]) => [k, stat('http_req_duration{kind:dec}', s)])),
  };
}

// ---- small things ----

function get(name, path, key) {
  return http.get(`${BASE}${path}`, { headers: { Authorization: `Bearer ${key}` }, tags: { kind: 'read', name }, timeout: TIMEOUT });
}

function parsed(r) {
  try {
    return r.json();
  } catch (_) {
    return null; // no JSON: the code is then "other"
  }
}

function weighted() {
  let left = random() * TOTAL;
  for (const m of markets) {
    left -= m.weight;
    if (left < 0) return m.market;
  }
  return markets[markets.length - 1].market;
}
const TOTAL = markets.reduce((sum, m) => sum + m.weight, 0);

// random is a counter through the finaliser of MurmurHash3, so that users whose
// seeds are neighbours still choose differently.
let counter = 0;
function random() {
  counter = (counter + 0x9e3779b9) | 0;
  let x = Math.imul(counter ^ (counter >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
}

function normal() {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

function clamp(x, low, high) {
  return Math.min(Math.max(x, low), high);
}

function whole(name, otherwise) {
  const n = Number(__ENV[name] || otherwise);
  if (!Number.isInteger(n) || n < 1) throw new Error(`${name}=${__ENV[name]} is not a whole number above 0`);
  return n;
}

function seconds(text) {
  const [, n, unit] = /^(\d+)(s|m|h)$/.exec(text) || [];
  const s = Number(n) * { s: 1, m: 60, h: 3600 }[unit];
  if (!(s >= 1)) throw new Error(`DURATION=${text} is not like 90s, 60m or 1h`);
  return s;
}
