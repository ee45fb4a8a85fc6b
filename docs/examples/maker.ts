/**
 * An example: a market maker of one market with two outcomes, in less than a hundred
 * lines. It quotes both sides of YES around the market's price, leans away from what
 * it holds, quotes again when the price moves, and takes its orders back at its end.
 *
 *     npx tsc -p docs/examples && MBP_KEY_FILE=demo/keys/ben.key node out/examples/docs/examples/maker.js mkt_1
 */
import { readFileSync } from "node:fs";
import { Client, type Order } from "../../fe/client/src/index.js";

const SPREAD = 20_000; // micros a share on either side of the price: two points
const SIZE = 10_000_000; // micros: ten shares of each quote
const LEAN = 10_000; // micros away for each quote's worth of shares held too many

const market = process.argv[2] ?? "mkt_1";
const client = new Client({
  url: process.env.MBP_URL ?? "http://127.0.0.1:8420",
  key: readFileSync(process.env.MBP_KEY_FILE ?? "", "utf8").trim(),
});

/** Replaces both orders in one decision. */
async function quote(price: number): Promise<void> {
  const { account } = await client.call("me", {});
  const { positions } = await client.call("getAccount", { path: { account: account ?? "" } });
  const held = positions
    .filter((p) => p.market === market)
    .reduce((sum, p) => sum + (p.outcome === "YES" ? p.shares_micros : -p.shares_micros), 0); // of YES, less those of NO
  const middle = price - Math.trunc((held * LEAN) / SIZE);
  const order: Omit<Order, "side"> = { market, outcome: "YES", tif: "gtc", post_only: true, shares_micros: SIZE };
  const bid = Math.min(Math.max(middle - SPREAD, 10_000), price - 1);
  const ask = Math.max(Math.min(middle + SPREAD, 990_000), price + 1);
  const { seq } = await client.call("batch", {
    body: {
      items: [
        { type: "cancel_all", market },
        { type: "place_order", ...order, side: "buy", limit_price_micros: bid },
        { type: "place_order", ...order, side: "sell", limit_price_micros: ask },
      ],
    },
  });
  console.log(`${seq}: price ${price}, bid ${bid}, ask ${ask}, holding ${held}`);
}

const end = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => end.abort());

await client.call("splitSets", { path: { market }, body: { amount_micros: 3 * SIZE } }); // shares of both outcomes to sell
try {
  let at = 0; // where it quoted last
  for await (const event of client.stream(0, end.signal)) {
    if (event.kind === "heartbeat") continue;
    const { state, outcomes } = await client.call("getMarket", { path: { market } });
    const price = outcomes[0]?.price_micros ?? at;
    if (state !== "open" || Math.abs(price - at) < LEAN / 2) continue;
    at = price;
    await quote(at);
  }
} finally {
  await client.call("cancelAll", { body: { market } });
}
