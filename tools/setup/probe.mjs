import { chromium } from "playwright-core";

const browser = await chromium.launch({
  executablePath: process.argv[1],
  args: ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"],
});
const page = await browser.newPage();
await page.setContent("<button onclick=\"this.textContent='done'\">go</button>");
await page.click("button");
if ((await page.textContent("button")) !== "done") throw new Error("the click did not arrive");
console.log(browser.version());
await browser.close();
