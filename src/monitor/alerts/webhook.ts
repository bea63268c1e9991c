/**
 * A notice as an HTTP request: its body, and the headers by which a receiver knows who sent it and whether it came before.
 *
 * Signed as "Standard Webhooks" 1.0 says (https://www.standardwebhooks.com): `webhook-signature` is `v1,` and the base64 of
 * HMAC-SHA256, by the secret, over `<webhook-id>.<webhook-timestamp>.<body>`. Its libraries verify what is sent here.
 */
import { createHmac } from "node:crypto";
import type { WebhookDefinition } from "../../define/alert-definition.ts";
import type { Notice } from "./notice.ts";

export interface WebhookRequest {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** `secret` is null where requests are not signed. `sentMicros` is that of this attempt: a receiver refuses old ones. */
export function webhookRequest(
  template: WebhookDefinition["template"],
  notice: Notice,
  secret: string | null,
  sentMicros: number,
): WebhookRequest {
  const body = JSON.stringify(template === "slack" ? slackBody(notice) : notice);
  const timestamp = String(Math.floor(sentMicros / 1e6));
  return {
    body,
    headers: {
      "content-type": "application/json",
      "user-agent": "onefold",
      "webhook-id": notice.id,
      "webhook-timestamp": timestamp,
      ...(secret === null ? {} : { "webhook-signature": `v1,${signature(secret, notice.id, timestamp, body)}` }),
    },
  };
}

const SECRET_PREFIX = "whsec_";

/** A secret that begins with `whsec_` is base64, any other is taken as it is. */
export function signature(secret: string, id: string, timestamp: string, body: string): string {
  const key = secret.startsWith(SECRET_PREFIX)
    ? Buffer.from(secret.slice(SECRET_PREFIX.length), "base64")
    : Buffer.from(secret, "utf8");
  return createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
}

/** Slack's incoming webhooks take a text; in it three characters stand for themselves only when they are escaped. */
function slackBody({ text, found, since, event }: Notice): { readonly text: string } {
  const lines = found.slice(0, 10).map(({ detail }) => (Object.keys(detail).length === 0 ? "" : shortJson(detail)));
  const more = lines.filter((line) => line !== "").map((line) => `\n\`${line}\``);
  return { text: escaped(`${text}${event === "test" ? "" : `\nsince ${since}`}${more.join("")}`) };
}

const DETAIL_CHARACTERS_MAX = 300;

function shortJson(detail: object): string {
  const text = JSON.stringify(detail).replaceAll("`", "'");
  return text.length > DETAIL_CHARACTERS_MAX ? `${text.slice(0, DETAIL_CHARACTERS_MAX)}...` : text;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
