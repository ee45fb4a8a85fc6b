/**
 * Whether a message to a webhook came from the server: by the Standard Webhooks
 * specification, version 1.0.0. A message passes only if one of the secrets has signed
 * its id, its time and its body, and its time is within five minutes of now.
 */

/** How far the time of a message may be from now, in seconds. */
export const WEBHOOK_TOLERANCE_S = 300;

/** Signatures that are looked at: there are two while a secret changes. */
const MAX_SIGNATURES = 16;

/** The headers of a request, by their lower-case names, as Node.js has them. */
export type WebhookHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Why a message does not count. */
export class WebhookError extends Error {
  override readonly name = "WebhookError";
}

const bytesOf = (base64: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

/**
 * Throws a WebhookError unless the message is genuine. The body is what came, not what
 * was parsed of it; nowS is in seconds since 1970.
 */
export async function verifyWebhook(
  headers: WebhookHeaders,
  body: Uint8Array | string,
  secrets: readonly string[],
  nowS: number = Date.now() / 1000,
): Promise<void> {
  const [id, time, signatures] = ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => headers[name]);
  if (typeof id !== "string" || typeof time !== "string" || typeof signatures !== "string" || id === "" || !/^\d+$/.test(time)) {
    throw new WebhookError("the headers of a webhook are missing or malformed");
  }
  const text = new TextEncoder();
  const head = text.encode(`${id}.${time}.`);
  const content = typeof body === "string" ? text.encode(body) : body;
  const signed = new Uint8Array(head.length + content.length);
  signed.set(head);
  signed.set(content, head.length);
  let genuine = false;
  for (const secret of secrets) {
    const raw = bytesOf(secret.trim().replace(/^whsec_/, ""));
    const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
    for (const signature of signatures.split(" ").slice(0, MAX_SIGNATURES)) {
      if (/^v1,[A-Za-z0-9+/]{43}=$/.test(signature) && (await crypto.subtle.verify("HMAC", key, bytesOf(signature.slice(3)), signed))) {
        genuine = true;
      }
    }
  }
  if (!genuine) throw new WebhookError("no signature of the message is of a known secret");
  if (Math.abs(nowS - Number(time)) > WEBHOOK_TOLERANCE_S) throw new WebhookError("the message is too old, or of the future");
}
