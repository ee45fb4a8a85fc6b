/**
 * Somebody signs in on the panel at the house's identity provider, in a real browser:
 * goes in, comes back after a reload, signs out, and is told when the provider does
 * not let them in.
 *
 * Environment:
 *   BASE_URL  where mbp serves the panel, with a provider that signs in without a question
 *   REFUSE    where a POST makes the provider name somebody whom nobody lets in
 *   CHROMIUM  the browser, .tools/bin/chromium
 *
 * Exit status: 0 all of it was so; 1 it was not, and says what.
 */
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** Longest wait for anything on the page. */
const WAIT_MS = 15_000;

/** @param {Record<string, string | undefined>} env */
async function main(env) {
  const { BASE_URL: base, REFUSE: refuse } = env;
  if (!base || !refuse) throw new Error("BASE_URL and REFUSE are needed");
  const browser = await chromium.launch({
    executablePath: env.CHROMIUM ?? join(root, ".tools/bin/chromium"), args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"],
  });
  try {
    const page = await browser.newPage({ locale: "pt-BR" });
    page.setDefaultTimeout(WAIT_MS);
    /** @type {string[]} */
    const errors = [];
    page.on("pageerror", (err) => errors.push(err.message));
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    const provider = page.getByTestId("provider");
    const live = page.locator('.line[data-state="live"]');
    await page.goto(base);
    if ((await provider.innerText()) !== "Entrar com a sua organização") throw new Error("the link has other words");
    await provider.click();
    await live.waitFor();
    if (new URL(page.url()).hash !== "") throw new Error(`the address is ${page.url()}`);
    await page.reload();
    await live.waitFor();
    const cookie = (await page.context().cookies()).find((c) => c.name === "mbp-session");
    if (!cookie?.httpOnly || cookie.sameSite !== "Strict") throw new Error("a script can read the session, or another site can send it");
    await page.locator(".topbar button.quiet").filter({ visible: true }).first().click();
    await provider.waitFor();
    await fetch(refuse, { method: "POST" });
    await provider.click();
    await page.locator(".login-error", { hasText: "foi recusada" }).waitFor();
    if (errors.length > 0) throw new Error(`on the console: ${errors.join("; ")}`);
  } finally {
    await browser.close();
  }
}

await main(process.env).catch((err) => {
  console.error(`sign-in: ${err instanceof Error ? err.message : err}`);
  process.exitCode = 1;
});
