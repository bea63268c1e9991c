/**
 * One attempt to deliver a notice: by HTTP or by a program. What fails is told in a sentence without a secret in it.
 */
import { spawn } from "node:child_process";
import type { CommandDefinition, DestinationDefinition, WebhookDefinition } from "../../define/alert-definition.ts";
import { isWebUrl } from "../../define/destination.ts";
import type { Notice } from "./notice.ts";
import { webhookRequest } from "./webhook.ts";

export interface SendHouse {
  readonly fetch: typeof fetch;
  environment(name: string): string | undefined;
  /** Microseconds since the epoch. */
  now(): number;
}

/** Not delivered, or nobody can tell. */
export class DeliveryFailure extends Error {
  /** How long the receiver asked to be left alone, in microseconds. */
  readonly askedMicros: number;

  constructor(message: string, askedMicros = 0) {
    super(message);
    this.askedMicros = askedMicros;
  }
}

/** Resolves once the receiver has said that it has it. Throws `DeliveryFailure`. */
export function send(
  destination: DestinationDefinition,
  notice: Notice,
  house: SendHouse,
  signal: AbortSignal,
): Promise<void> {
  return destination.kind === "webhook"
    ? sendWebhook(destination, notice, house, signal)
    : runCommand(destination, notice, house, signal);
}

async function sendWebhook(
  { url, secretEnv, template, timeoutMicros }: WebhookDefinition,
  notice: Notice,
  { fetch, environment, now }: SendHouse,
  signal: AbortSignal,
): Promise<void> {
  const address = "value" in url ? url.value : fromEnvironment(url.env, environment);
  if (!isWebUrl(address)) throw new DeliveryFailure("the address is no absolute http or https URL");
  const secret = secretEnv === undefined ? null : fromEnvironment(secretEnv, environment);
  const { body, headers } = webhookRequest(template, notice, secret, now());
  const timeout = AbortSignal.timeout(Math.ceil(timeoutMicros / 1000));
  let response: Response;
  try {
    response = await fetch(address, {
      method: "POST",
      body,
      headers,
      // What is signed for one receiver is not handed to another that it names.
      redirect: "manual",
      signal: AbortSignal.any([timeout, signal]),
    });
    // Only its status counts, and an answer without an end holds nobody up.
    await response.body?.cancel();
  } catch (error) {
    if (timeout.aborted) throw new DeliveryFailure(`no answer within ${timeoutMicros / 1e6} s`);
    if (signal.aborted) throw new DeliveryFailure("the server is stopping");
    throw new DeliveryFailure(causeText(error));
  }
  const { status } = response;
  if (status >= 200 && status < 300) return;
  if (status >= 300 && status < 400) {
    throw new DeliveryFailure(`it answered ${status}, which leads elsewhere: name the address that takes notices`);
  }
  throw new DeliveryFailure(`it answered ${status}`, retryAfterMicros(response.headers.get("retry-after")));
}

/** Seconds alone: a date would hang on both clocks. */
function retryAfterMicros(text: string | null): number {
  return text !== null && /^\d{1,6}$/.test(text) ? Number(text) * 1e6 : 0;
}

function fromEnvironment(name: string, environment: SendHouse["environment"]): string {
  const value = environment(name);
  if (value !== undefined && value !== "") return value;
  throw new DeliveryFailure(`the environment variable ${name} is not set at the server`);
}

/** `fetch` says no more than that it failed; why stands in the cause. */
function causeText(error: unknown): string {
  const { cause } = error as { readonly cause?: { readonly code?: string } };
  return cause?.code === undefined ? "the connection failed" : `the connection failed (${cause.code})`;
}

const ERROR_CHARACTERS_MAX = 500;
/** How long what a program has said last is waited for once it has ended. */
const STDERR_MILLIS = 200;

/** Its program gets the notice as JSON on stdin. What it prints to stderr is kept where it fails. */
function runCommand(
  { run, timeoutMicros }: CommandDefinition,
  notice: Notice,
  _house: SendHouse,
  signal: AbortSignal,
): Promise<void> {
  const [program, ...given] = run as [string, ...string[]];
  return new Promise((resolve, reject) => {
    const child = spawn(program, given, {
      shell: false,
      stdio: ["pipe", "ignore", "pipe"],
      env: { ...process.env, ONEFOLD_NOTICE_ID: notice.id },
      // A group of its own, so that what it has started ends with it.
      detached: process.platform !== "win32",
    });
    let said = "";
    let why: string | null = null;
    const end = (reason: string): void => {
      why = reason;
      killGroup(child.pid);
    };
    const timer = setTimeout(() => end(`it did not end within ${timeoutMicros / 1e6} s`), timeoutMicros / 1000);
    const stop = (): void => end("the server is stopping");
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    const settle = (failure: string | null): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      if (failure === null) resolve();
      else reject(new DeliveryFailure(failure));
    };
    child.stderr.on("data", (bytes: Buffer) => {
      if (said.length < ERROR_CHARACTERS_MAX) said += bytes.toString("utf8");
    });
    child.on("error", (error: NodeJS.ErrnoException) => settle(`${program} cannot be started (${error.code})`));
    // What it has left behind may hold its output open.
    child.on("exit", () => setTimeout(() => child.stderr.destroy(), STDERR_MILLIS));
    child.on("close", (code, signalName) => {
      if (why === null && code === 0) return settle(null);
      const told = said.trim().slice(0, ERROR_CHARACTERS_MAX);
      const failure = why ?? (code === null ? `it was ended by ${signalName}` : `it ended with ${code}`);
      settle(told === "" ? failure : `${failure}: ${told}`);
    });
    // One that does not read its stdin may have had enough.
    child.stdin.on("error", () => {});
    child.stdin.end(`${JSON.stringify(notice)}\n`);
  });
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(process.platform === "win32" ? pid : -pid, "SIGKILL");
  } catch {
    // It is gone.
  }
}
