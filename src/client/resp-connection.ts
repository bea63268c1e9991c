/**
 * One connection to a RESP door, of the package `ioredis`. It is opened once and never again: what was sent and
 * not answered when it breaks fails, and whether that is sent again is decided where it is known to be safe.
 */
import type { Redis, RedisOptions } from "ioredis";
import { OnefoldError } from "../base/errors.ts";
import { isErrorCode, otherServer, unreachable } from "./json-body.ts";

export interface RespAddress {
  readonly host: string;
  readonly port: number;
  readonly isSecure: boolean;
  readonly username: string | null;
  readonly password: string | null;
  /** How the client names itself. */
  readonly consumer: string | null;
}

/** What starts a server with a door of this kind. */
export const RESP_START = "onefold serve --resp-port";

export interface ConnectionEvents {
  /** New calls are to go over another connection. */
  readonly onRetire: () => void;
  /** It is closed. */
  readonly onEnd: () => void;
}

const CONNECT_MILLIS = 10_000;
/** What may be on its way and not answered, though its callers wait no longer. */
const CALLS_MAX = 10_000;
const CHARACTERS_MAX = 64 * 1024 * 1024;

export class RespConnection {
  readonly #address: RespAddress;
  readonly #events: ConnectionEvents;
  readonly #ready: Promise<Redis>;
  #redis: Redis | null = null;
  /** Why it broke, where the socket said so. */
  #reason: string | null = null;
  #answered = 0;
  /** Callers that wait. */
  #waiting = 0;
  #calls = 0;
  #characters = 0;
  #isRetired = false;
  #isOver = false;

  constructor(address: RespAddress, events: ConnectionEvents) {
    this.#address = address;
    this.#events = events;
    this.#ready = this.#open();
    // Each call hears of it by itself, and one that has ended no longer.
    this.#ready.catch(() => this.#end());
  }

  /**
   * The reply. Rejects with a reply that is an error as an `OnefoldError`, with `SERVER_UNREACHABLE`, with the
   * signal's reason, and with `BACKPRESSURE` where too much waits for answers already: then nothing was sent.
   *
   * Where time is up and no call at all was answered since this one was begun, the connection may be dead: it
   * is retired, and ends with the last call that waits on it.
   */
  async call(command: string, args: readonly string[], signal: AbortSignal): Promise<unknown> {
    const answered = this.#answered;
    this.#waiting++;
    try {
      return await untilAborted(this.#reply(command, args, signal), signal);
    } catch (error) {
      const isSilent = signal.aborted && answered === this.#answered;
      if (isSilent && error instanceof OnefoldError && error.code === "CALL_TIMED_OUT") this.#retire();
      throw error;
    } finally {
      this.#waiting--;
      if (this.#isRetired && this.#waiting === 0) this.#end();
    }
  }

  /** Calls under way fail. */
  close(): void {
    this.#reason ??= "the client was closed";
    this.#end();
  }

  async #reply(command: string, args: readonly string[], signal: AbortSignal): Promise<unknown> {
    const characters = args.reduce((sum, arg) => sum + arg.length, 0);
    if (this.#calls >= CALLS_MAX || (this.#calls > 0 && this.#characters + characters > CHARACTERS_MAX)) {
      throw new OnefoldError("BACKPRESSURE", `${this.#calls} calls wait for an answer from ${this.#shown()}`, {
        hint: "ask for fewer at a time",
      });
    }
    this.#calls++;
    this.#characters += characters;
    try {
      const redis = await this.#ready;
      signal.throwIfAborted();
      return await this.#send(redis, command, args);
    } finally {
      this.#calls--;
      this.#characters -= characters;
    }
  }

  async #send(redis: Redis, command: string, args: readonly string[]): Promise<unknown> {
    try {
      const reply = await redis.call(command, [...args]);
      this.#answered++;
      return reply;
    } catch (thrown) {
      const cause = thrown as Error;
      if (!isReplyError(cause)) throw this.#broken(cause);
      this.#answered++;
      throw replyError(cause, this.#shown());
    }
  }

  async #open(): Promise<Redis> {
    const RedisClient = await importRedis();
    const redis = new RedisClient(this.#options());
    const denials: Error[] = [];
    redis.on("error", (error: Error) => {
      if (isReplyError(error)) denials.push(error);
      else this.#reason = error.message === "" ? ((error as NodeJS.ErrnoException).code ?? error.name) : error.message;
    });
    redis.on("end", () => this.#end());
    try {
      if (this.#isOver) throw new Error("it was closed before it was open");
      this.#redis = redis;
      await redis.connect();
      return redis;
    } catch (cause) {
      const error = denials[0] ?? (cause as Error);
      throw isReplyError(error) ? replyError(error, this.#shown()) : this.#broken(error);
    }
  }

  #options(): RedisOptions & { readonly replyMapping?: "legacy" } {
    const { host, port, isSecure, username, password, consumer } = this.#address;
    return {
      host,
      port,
      ...(isSecure ? { tls: {} } : {}),
      ...(username === null ? {} : { username }),
      ...(password === null ? {} : { password }),
      ...(consumer === null ? {} : { connectionName: consumer }),
      connectTimeout: CONNECT_MILLIS,
      lazyConnect: true,
      disableClientInfo: true,
      // The door says itself, call by call, that it is not ready.
      enableReadyCheck: false,
      // A push that is sent twice may count twice.
      retryStrategy: () => null,
      autoResendUnfulfilledCommands: false,
    };
  }

  #retire(): void {
    this.#isRetired = true;
    this.#events.onRetire();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#events.onRetire();
    this.#events.onEnd();
    this.#redis?.disconnect();
  }

  #broken(cause: Error): OnefoldError {
    return unreachable(this.#shown(), this.#reason ?? cause.message, RESP_START, cause);
  }

  #shown(): string {
    return shownAddress(this.#address);
  }
}

/** Without the password. */
export function shownAddress({ host, port, isSecure }: RespAddress): string {
  return `${isSecure ? "rediss" : "redis"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

async function importRedis(): Promise<typeof Redis> {
  try {
    return (await import("ioredis")).Redis;
  } catch (cause) {
    throw new OnefoldError("REQUEST_INVALID", "an address with redis:// needs the package ioredis", {
      where: "url",
      hint: "install it: npm install ioredis; or give the server's http:// address",
      cause,
    });
  }
}

/** Told by its name: users may have a copy of the class of their own. */
function isReplyError(error: Error): boolean {
  return error.name === "ReplyError";
}

/** An error line, `CODE message`. Those of our commands are few: nearly all errors come as JSON. */
function replyError(reply: Error, address: string): OnefoldError {
  const [, code = "", message = ""] = /^(\S+) ?(.*)$/s.exec(reply.message) ?? [];
  if (isErrorCode(code)) return new OnefoldError(code, message, { cause: reply });
  if (code === "NOAUTH" || code === "WRONGPASS") {
    // Without the cause: the package's error holds the command, and that the password.
    return new OnefoldError("ACCESS_DENIED", `${address} refused: ${code} ${message}`, {
      hint: "give the server's password: redis://:PASSWORD@host:port",
    });
  }
  if (/^unknown command/i.test(message)) {
    return otherServer(address, reply.message, RESP_START, reply);
  }
  if (message.startsWith("max number of clients")) return unreachable(address, message, RESP_START, reply);
  // A first word that the door never says: of a Redis that is loading, say.
  if (code !== "ERR") return otherServer(address, reply.message, RESP_START, reply);
  return new OnefoldError("INTERNAL", reply.message, { cause: reply });
}

/** What is waited for goes on; nobody hears of it any more. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
