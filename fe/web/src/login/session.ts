/**
 * The session of this browser: begun with a key, or at the identity provider, and
 * kept by a cookie that no script can read. A key is sent once and kept nowhere.
 */
import { NoAnswer, problemOf, TIMEOUT_MS } from "../api/api";
import { matching, maybe, record, text } from "../model/decode";

const PATH = "/auth/session";

const door = record({
  session: maybe(record({ csrf: text })),
  /** Where people sign in at the provider, on this server; none: by key alone. */
  sign_in: maybe(matching(/^\/[a-z/-]+$/, "a path of this server")),
});
export type Door = ReturnType<typeof door>;

type Fetch = typeof globalThis.fetch;

async function ask(fetch: Fetch, path: string, init: RequestInit): Promise<Door> {
  let answer: Response;
  let body: unknown;
  try {
    answer = await fetch(path, {
      ...init, signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store", credentials: "same-origin", redirect: "error",
    });
    body = answer.ok ? await answer.json() : null;
  } catch (err) {
    throw new NoAnswer(`${path}: no answer`, { cause: err });
  }
  if (!answer.ok) throw await problemOf(answer);
  return door(body, path);
}

/** Whether somebody has signed in, and where one can. */
export const current = (fetch: Fetch): Promise<Door> => ask(fetch, PATH, {});

/** Begins a session with a key. */
export const begin = (fetch: Fetch, key: string): Promise<Door> =>
  ask(fetch, PATH, { method: "POST", headers: { Authorization: `Bearer ${key}` } });

/** Ends the session. */
export const end = (fetch: Fetch, csrf: string): Promise<Door> =>
  ask(fetch, `${PATH}/end`, { method: "POST", headers: { "X-CSRF-Token": csrf } });

/** What a sign-in at the provider has left in the address of the page. */
export function failureIn(hash: string): "login.provider.refused" | "login.provider.away" | null {
  if (hash === "#sign-in-refused") return "login.provider.refused";
  return hash === "#sign-in-away" ? "login.provider.away" : null;
}
