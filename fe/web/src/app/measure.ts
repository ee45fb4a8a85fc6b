/** Starts to measure where the server says that measurements are collected. */
import { collect } from "../../../rum/collector.js";
import { panelConfig } from "../model/model";

/** The page has one route; its template is what measurements are filed under. */
const PAGE = "/";

export async function measure(): Promise<void> {
  try {
    const answer = await fetch("/panel.json", { credentials: "omit" });
    const { rum_url, env } = panelConfig(await answer.json(), "/panel.json");
    if (rum_url) collect({ url: rum_url, page: PAGE, env });
  } catch {
    // Measuring must never disturb the page.
  }
}
