/**
 * Configuration of the RUM server, read from the environment. Every fault is
 * named at once, and an unknown RUM_ variable is a fault: a typing error must
 * not silently fall back to a default. (RUM_URL belongs to those who send.)
 *
 * @typedef {{
 *   host: string, port: number, env: string, origins: ReadonlySet<string>, pages: ReadonlySet<string>,
 *   perSecond: number, settleMs: number, lingerMs: number,
 * }} Config
 */

/** @type {Record<string, string>} variable → default; see README.md for what each does */
export const DEFAULTS = {
  RUM_HOST: "127.0.0.1",
  RUM_PORT: "9314",
  RUM_ENV: "local",
  RUM_ALLOWED_ORIGINS: "http://127.0.0.1:8420,http://localhost:8420",
  RUM_PAGES: "/",
  RUM_PER_SECOND: "200",
  RUM_SETTLE_S: "60",
  RUM_LINGER_S: "5",
};

/** What a label may hold; it also bounds what a beacon may claim to be. */
export const LABEL = /^[A-Za-z0-9/_:.-]{1,64}$/;

/** Pages in the allow-list: with about 25 edges each, 30 pages are 750 series. */
const MAX_PAGES = 30;

/**
 * @param {Record<string, string | undefined>} environment
 * @returns {Config}
 */
export function readConfig(environment) {
  /** @type {string[]} */
  const faults = [];
  for (const name of Object.keys(environment)) {
    if (name.startsWith("RUM_") && name !== "RUM_URL" && !(name in DEFAULTS)) faults.push(`${name} is not a setting of this server`);
  }
  /** @param {string} name */
  const text = (name) => environment[name] ?? /** @type {string} */ (DEFAULTS[name]);
  /** @param {string} name @param {number} low @param {number} high */
  const number = (name, low, high) => {
    const value = Number(text(name));
    if (text(name).trim() === "" || !(value >= low && value <= high)) {
      faults.push(`${name}=${text(name)} is not a number from ${low} to ${high}`);
    }
    return value;
  };
  /** @param {string} name @param {(s: string) => boolean} valid */
  const list = (name, valid) => {
    const items = text(name).split(",").map((s) => s.trim()).filter(Boolean);
    for (const bad of items.filter((s) => !valid(s))) faults.push(`${name}: ${bad} is not valid`);
    return new Set(items);
  };

  const config = {
    host: text("RUM_HOST"),
    port: number("RUM_PORT", 0, 65535),
    env: text("RUM_ENV"),
    origins: list("RUM_ALLOWED_ORIGINS", (s) => URL.canParse(s) && new URL(s).origin === s),
    pages: list("RUM_PAGES", (s) => LABEL.test(s)),
    perSecond: number("RUM_PER_SECOND", 1, 100_000),
    settleMs: 1000 * number("RUM_SETTLE_S", 1, 3600),
    lingerMs: 1000 * number("RUM_LINGER_S", 0, 60),
  };
  if (!LABEL.test(config.env)) faults.push(`RUM_ENV=${config.env} is not a label`);
  if (config.origins.size === 0) faults.push("RUM_ALLOWED_ORIGINS is empty: nobody could report");
  if (config.pages.size > MAX_PAGES) faults.push(`RUM_PAGES names more than ${MAX_PAGES} pages`);
  if (faults.length > 0) throw new Error(`configuration: ${faults.join("; ")}`);
  return config;
}
