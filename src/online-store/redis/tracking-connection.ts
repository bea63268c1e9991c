/**
 * A connection to one Redis that tells which keys have changed of those that were read over it (client-side caching:
 * `CLIENT TRACKING`, Redis 6 and Valkey).
 *
 * Replies and what is told of changes come over one connection in one order, so whoever takes them in that order never holds
 * for unchanged what Redis had changed before it gave a reply. It is opened once: whatever fails ends it, and with it all that
 * was asked and not answered. It only reads, so what it did not answer may be asked elsewhere.
 */
import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectSecure } from "node:tls";
import type { RedisAddress } from "./redis-address.ts";
import { RedisError, type RedisReply, ReplyReader } from "./reply-reader.ts";

export interface TrackingEvents {
  /** From now on changes are told. */
  onReady(): void;
  /** These keys have changed, or are gone, since they were read; null: any may have. */
  onChanged(keys: readonly Buffer[] | null): void;
  /** It is over, and was so once. */
  onEnd(end: TrackingEnd): void;
}

export interface TrackingEnd {
  readonly reason: string;
  /** Redis is there, and refuses to tell of changes for good: to ask again soon is of no use. */
  readonly isRefused: boolean;
}

/** It ended before the reply came. */
export class TrackingEnded extends Error {
  override readonly name: string = "TrackingEnded";
  /** Redis was silent for as long as it may take. */
  readonly isSilent: boolean;

  constructor(reason: string, isSilent: boolean) {
    super(reason);
    this.isSilent = isSilent;
  }
}

interface Asked {
  readonly atMs: number;
  resolve(reply: RedisReply): void;
  reject(error: Error): void;
}

/** Errors that are over by themselves. */
const PASSING = /^(?:LOADING|BUSY|MASTERDOWN|TRYAGAIN|CLUSTERDOWN)\b/;
/** How much of the time limit passes between two looks at whether Redis still answers. */
const LOOKS = 4;

export class TrackingConnection {
  readonly #timeoutMs: number;
  readonly #events: TrackingEvents;
  readonly #socket: Socket;
  readonly #looking: NodeJS.Timeout;
  /** In the order in which replies come; those before `#answered` are there. */
  #asked: Asked[] = [];
  #answered = 0;
  #isOver = false;
  #heardMs = Number.NEGATIVE_INFINITY;
  /** Found late, and not answered since: this process itself may have been held up, and the reply be here. */
  #late: Asked | null = null;

  constructor(address: RedisAddress, events: TrackingEvents) {
    const { timeoutMs } = address;
    this.#timeoutMs = timeoutMs;
    this.#events = events;
    this.#socket = openSocket(address);
    this.#socket.setNoDelay(true);
    this.#socket.setKeepAlive(true, 10_000);
    const reader = new ReplyReader({
      onReply: (reply) => this.#took(reply),
      onPush: (push) => this.#told(push),
    });
    this.#socket.on("data", (chunk: Buffer) => {
      try {
        reader.take(chunk);
      } catch (error) {
        this.#end((error as Error).message);
      }
    });
    this.#socket.on("error", (error: NodeJS.ErrnoException) => this.#end(error.message || (error.code ?? error.name)));
    this.#socket.on("close", () => this.#end("the connection was closed"));
    this.#looking = setInterval(() => this.#look(), Math.max(1, timeoutMs / LOOKS));
    this.#begin(address);
  }

  /** How many wait for a reply. */
  get waiting(): number {
    return this.#asked.length - this.#answered;
  }

  /** All that Redis had changed by then was told (by the monotonic clock). */
  get heardMs(): number {
    return this.#heardMs;
  }

  /**
   * Of commands in byte strings, one reply for each, errors too, once all are here; strings lie in what came. `onReply` is called
   * with each before anything is told that came behind it. Rejects with `TrackingEnded`.
   */
  askAll(
    commands: readonly (readonly string[])[],
    onReply: (reply: RedisReply) => void = () => {},
  ): Promise<readonly RedisReply[]> {
    if (this.#isOver) return Promise.reject(new TrackingEnded("the connection is over", false));
    if (commands.length === 0) return Promise.resolve([]);
    const atMs = performance.now();
    return new Promise((resolve, reject) => {
      const replies: RedisReply[] = [];
      const took = (reply: RedisReply): void => {
        onReply(reply);
        if (replies.push(reply) === commands.length) resolve(replies);
      };
      for (let i = 0; i < commands.length; i++) this.#asked.push({ atMs, resolve: took, reject });
      this.#socket.write(encode(commands), "latin1");
    });
  }

  close(reason = "it was closed"): void {
    this.#end(reason);
  }

  #begin({ username, password, database }: RedisAddress): void {
    const login = password === null ? [] : ["AUTH", username ?? "default", password];
    const commands = [
      ["HELLO", "3", ...login],
      ...(database === 0 ? [] : [["SELECT", String(database)]]),
      ["CLIENT", "TRACKING", "ON"],
    ];
    this.askAll(commands.map((command) => command.map(toBytes))).then(
      (replies) => {
        const refused = replies.find((reply) => reply instanceof RedisError);
        if (refused !== undefined) this.#end(refused.message, { isRefused: !PASSING.test(refused.message) });
        else if (!this.#isOver) this.#events.onReady();
      },
      () => undefined,
    );
  }

  #took(reply: RedisReply): void {
    const asked = this.#asked[this.#answered];
    if (asked === undefined) {
      this.#end("a reply came that nobody had asked for");
      return;
    }
    this.#answered++;
    this.#heardMs = asked.atMs;
    if (this.#answered === this.#asked.length) {
      this.#asked.length = 0;
      this.#answered = 0;
    } else if (this.#answered > 1000) {
      this.#asked = this.#asked.slice(this.#answered);
      this.#answered = 0;
    }
    asked.resolve(reply);
  }

  #told([kind, keys]: readonly RedisReply[]): void {
    if (String(kind) !== "invalidate") return;
    this.#events.onChanged(Array.isArray(keys) ? (keys as Buffer[]) : null);
  }

  #look(): void {
    const oldest = this.#asked[this.#answered];
    if (oldest === undefined || performance.now() - oldest.atMs < this.#timeoutMs) return;
    if (this.#late === oldest) this.#end(`it did not answer within ${this.#timeoutMs} ms`);
    else this.#late = oldest;
  }

  #end(reason: string, { isRefused = false } = {}): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#looking);
    this.#socket.destroy();
    this.#events.onEnd({ reason, isRefused });
    const late = performance.now() - this.#timeoutMs;
    for (const { atMs, reject } of this.#asked.splice(0).slice(this.#answered)) {
      reject(new TrackingEnded(reason, atMs <= late));
    }
    this.#answered = 0;
  }
}

function openSocket({ nodes, tls }: RedisAddress): Socket {
  const [{ host, port }] = nodes as [RedisAddress["nodes"][number]];
  if (tls === null) return connectPlain({ host, port });
  const name = isIP(host) === 0 ? { servername: host } : {};
  return connectSecure({ host, port, ...name, ...(tls.ca === null ? {} : { ca: tls.ca }) });
}

/** A text as the bytes it is on the wire, each a character. */
export function toBytes(text: string): string {
  return isAscii(text) ? text : Buffer.from(text).toString("latin1");
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

/** Of byte strings, as one. */
function encode(commands: readonly (readonly string[])[]): string {
  let bytes = "";
  for (const command of commands) {
    bytes += `*${command.length}\r\n`;
    for (const arg of command) bytes += `$${arg.length}\r\n${arg}\r\n`;
  }
  return bytes;
}
