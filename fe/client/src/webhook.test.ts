import { describe, expect, it } from "vitest";
import { verifyWebhook, WebhookError, WEBHOOK_TOLERANCE_S } from "./index.js";

// The example of the Standard Webhooks specification.
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const at = 1614265330;
const body = '{"test": 2432232314}';
const headers = {
  "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
  "webhook-timestamp": String(at),
  "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
};

describe("a message to a webhook", () => {
  it("passes if one of the secrets signed it, within five minutes", async () => {
    const other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for (const now of [at, at + WEBHOOK_TOLERANCE_S, at - WEBHOOK_TOLERANCE_S]) {
      await verifyWebhook(headers, body, [other, secret], now);
    }
    await verifyWebhook({ ...headers, "webhook-signature": `v1,${"A".repeat(43)}= ${headers["webhook-signature"]}` }, new TextEncoder().encode(body), [secret], at);
  });

  it("does not otherwise", async () => {
    const tries: [object, string, string[], number][] = [
      [headers, body, [secret], at + WEBHOOK_TOLERANCE_S + 1],
      [headers, body, [secret], at - WEBHOOK_TOLERANCE_S - 1],
      [headers, body, [], at],
      [headers, body, ["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"], at],
      [headers, `${body} `, [secret], at],
      [{ ...headers, "webhook-id": "other" }, body, [secret], at],
      [{ ...headers, "webhook-timestamp": String(at + 1) }, body, [secret], at],
      [{ ...headers, "webhook-signature": headers["webhook-signature"].replace("v1", "v2") }, body, [secret], at],
      ...Object.keys(headers).map((name): [object, string, string[], number] => [{ ...headers, [name]: undefined }, body, [secret], at]),
    ];
    for (const [h, b, known, now] of tries) {
      await expect(verifyWebhook(h as typeof headers, b, known, now)).rejects.toThrow(WebhookError);
    }
  });
});
