/**
 * `webhook` and `command`: where notices of alerts go, and who is told to train again.
 */
import { MICROS_PER_DAY, MICROS_PER_SECOND } from "../base/micros.ts";
import type { CommandDefinition, DestinationDefinition, WebhookDefinition } from "./alert-definition.ts";
import { callSite, refuse } from "./defined-at.ts";
import type { Described } from "./definition.ts";
import { duration } from "./duration.ts";
import { frozen } from "./frozen.ts";
import { nameProblems } from "./names.ts";
import { checkShape } from "./shape.ts";
import type { DurationText } from "./typing.ts";

/** A value that stands in an environment variable of the server, so that it is in no file. */
export interface EnvironmentName {
  readonly env: string;
}

interface DeliveryOptions extends Described {
  /** Of one attempt. Default 10s for a webhook, 30s for a command. */
  readonly timeout?: DurationText;
  /** What could not be delivered for so long becomes a dead letter. Default 24h. */
  readonly giveUp?: DurationText;
}

export interface WebhookOptions extends DeliveryOptions {
  /** Absolute, http or https; `{ env: "SLACK_URL" }` where the address is itself a secret. */
  readonly url: string | EnvironmentName;
  /** Signs each request (docs/alerts.md); the variable holds `whsec_` and base64, or any text. */
  readonly secret?: EnvironmentName;
  /** Body of the request: all of the notice (default), or a message that Slack accepts. */
  readonly template?: "json" | "slack";
}

export interface CommandOptions extends DeliveryOptions {
  /** Program and arguments; it gets the notice as JSON on stdin. There is no shell between. */
  readonly run: readonly string[];
}

const TIMEOUT_MICROS = { webhook: 10 * MICROS_PER_SECOND, command: 30 * MICROS_PER_SECOND };
const TIMEOUT_MICROS_MAX = 600 * MICROS_PER_SECOND;

/** A URL that notices are sent to by POST. Throws `DEFINITION_INVALID`. */
export function webhook(name: string, options: WebhookOptions): WebhookDefinition {
  checkShape(webhook, "webhook", name, options, {}, ["url", "secret", "template", "timeout", "giveUp"]);
  const problems: string[] = [];
  const { url, secret, template = "json" } = options;
  const definition: WebhookDefinition = frozen({
    kind: "webhook",
    name,
    url: typeof url === "string" ? { value: url } : { env: url?.env },
    secretEnv: secret === undefined ? undefined : String(secret?.env ?? ""),
    template,
    ...deliveryOf("webhook", options, problems),
    definedAt: callSite(webhook),
  }) as WebhookDefinition;
  refuse(definition, "webhook", [...problems, ...destinationProblems(definition)]);
  return definition;
}

/** A program of the server's machine that each notice is handed to. Throws `DEFINITION_INVALID`. */
export function command(name: string, options: CommandOptions): CommandDefinition {
  checkShape(command, "command", name, options, { run: "list" }, ["timeout", "giveUp"]);
  const problems: string[] = [];
  const definition: CommandDefinition = frozen({
    kind: "command",
    name,
    run: options.run,
    ...deliveryOf("command", options, problems),
    definedAt: callSite(command),
  }) as CommandDefinition;
  refuse(definition, "command", [...problems, ...destinationProblems(definition)]);
  return definition;
}

function deliveryOf(kind: "webhook" | "command", options: DeliveryOptions, problems: string[]) {
  return {
    timeoutMicros: duration("timeout", options.timeout, problems) ?? TIMEOUT_MICROS[kind],
    giveUpMicros: duration("giveUp", options.giveUp, problems) ?? MICROS_PER_DAY,
    description: options.description,
    owner: options.owner,
    tags: options.tags,
  };
}

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** What contradicts itself in a destination; empty when nothing does. A URL is not shown: it may be a secret. */
export function destinationProblems(definition: DestinationDefinition): string[] {
  const problems = nameProblems("its name", definition.name);
  if (definition.timeoutMicros > TIMEOUT_MICROS_MAX) problems.push("timeout is longer than 10m");
  if (definition.kind === "command") {
    const { run } = definition;
    if (!Array.isArray(run) || run.length === 0 || !run.every((part) => typeof part === "string") || run[0] === "")
      problems.push('run is no list of a program and its arguments, such as ["/usr/local/bin/page", "--team", "ml"]');
    return problems;
  }
  const { url, secretEnv, template } = definition;
  if ("value" in url) {
    if (!isWebUrl(url.value)) problems.push("url is no absolute http or https address without a user in it");
  } else if (typeof url.env !== "string" || !VARIABLE.test(url.env)) {
    problems.push('url is missing: give an address, or { env: "NAME" } of the variable that holds it');
  }
  if (secretEnv !== undefined && !VARIABLE.test(secretEnv))
    problems.push('secret is { env: "NAME" } of the variable that holds it: no secret stands in a definition');
  if (!["json", "slack"].includes(template))
    problems.push(`template ${JSON.stringify(template)} is none of json, slack`);
  return problems;
}

export function isWebUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return (protocol === "http:" || protocol === "https:") && username === "" && password === "";
}
