import { describe, expect, it, vi } from "vitest";
import { NoAnswer, Problem } from "../api/api";
import { begin, current, end, failureIn } from "./session";

function server(status: number, body: unknown) {
  const answer = () => Promise.resolve(new Response(JSON.stringify(body), { status, headers: { "Content-Type": status < 400 ? "application/json" : "application/problem+json" } }));
  const fetch = vi.fn((_url: string, _init: RequestInit) => answer());
  return { fetch: fetch as unknown as typeof globalThis.fetch, calls: fetch.mock.calls };
}

const inside = { session: { principal: "ana", roles: ["trader"], csrf: "c-1" }, sign_in: "/auth/sign-in" };

describe("session", () => {
  it("sends the key in the header of one request, and only there", async () => {
    const s = server(201, inside);
    expect((await begin(s.fetch, "mbp_secret")).session?.csrf).toBe("c-1");
    const [url, init] = s.calls[0] ?? ["", {}];
    expect(url).toBe("/auth/session");
    expect(init).toMatchObject({ method: "POST", headers: { Authorization: "Bearer mbp_secret" }, credentials: "same-origin", redirect: "error" });
    expect(init.body).toBeUndefined();
  });

  it("tells whether somebody is in, and where one signs in", async () => {
    expect(await current(server(200, { session: null, sign_in: "" }).fetch)).toEqual({ session: null, sign_in: null });
    expect(await current(server(200, inside).fetch)).toMatchObject({ sign_in: "/auth/sign-in" });
  });

  it("goes nowhere else to sign in", async () => {
    for (const elsewhere of ["https://evil.example/", "//evil.example", "javascript:alert(1)"]) {
      await expect(current(server(200, { session: null, sign_in: elsewhere }).fetch)).rejects.toThrow("path of this server");
    }
  });

  it("ends with the token of the session", async () => {
    const s = server(200, { session: null, sign_in: "" });
    await end(s.fetch, "c-1");
    expect(s.calls[0]).toMatchObject(["/auth/session/end", { method: "POST", headers: { "X-CSRF-Token": "c-1" } }]);
  });

  it("tells a refusal from a server that is away", async () => {
    await expect(begin(server(401, { code: "unauthenticated" }).fetch, "k")).rejects.toMatchObject(new Problem(401, "unauthenticated", 0));
    const away = (() => Promise.reject(new TypeError("Failed to fetch"))) as unknown as typeof globalThis.fetch;
    await expect(current(away)).rejects.toBeInstanceOf(NoAnswer);
  });
});

it("reads what the provider's sign-in left in the address", () => {
  expect(failureIn("#sign-in-refused")).toBe("login.provider.refused");
  expect(failureIn("#sign-in-away")).toBe("login.provider.away");
  expect(failureIn("#mkt_1")).toBeNull();
});
