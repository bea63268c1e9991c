/**
 * Reads of one Redis over a connection that tells of changes, and what was read for as long as nothing was told of it: such a
 * value is there without asking, and is what Redis has.
 *
 * - A value is kept from its reply on, until Redis tells of a change of its key, or the connection ends.
 * - It is used only while Redis was heard from over this connection a moment ago: one that is cut off without a word says of
 *   no change either. Whoever asks the store regularly keeps it going.
 * - Where there is no such connection, whoever reads asks as if this were not here. It is opened again and again; where Redis
 *   refuses to tell of changes (an old version, a proxy, a user who may not), less often.
 */
import { ChangeCounts } from "../change-counts.ts";
import type { RemoteChanges } from "../online-store.ts";
import { inTime, storeTimeout, storeUnavailable } from "./call-limits.ts";
import { KeptValues } from "./kept-values.ts";
import type { RedisAddress } from "./redis-address.ts";
import { tagIn, tagOf } from "./redis-keys.ts";
import { RedisError, type RedisReply } from "./reply-reader.ts";
import { toBytes, type TrackingEnd, TrackingConnection, TrackingEnded } from "./tracking-connection.ts";

export interface TrackedReadsOptions {
  readonly address: RedisAddress;
  /** What kept values may take in memory. */
  readonly keptBytesMax: number;
}

const AGAIN_MS_MIN = 50;
const AGAIN_MS_MAX = 1000;
const REFUSED_AGAIN_MS = 30_000;
/** So long after it was last heard from, Redis is still taken to have told of all changes. */
const TRUSTED_MS = 1000;
/** So many are asked at once, and have the time limit to themselves. */
const COMMANDS_PER_ROUND = 32;
/** So many commands may wait for a reply. */
const WAITING_MAX = 2000;
/** A connection that stood so long was a good one. */
const STOOD_MS = 1000;

export class TrackedReads {
  readonly #options: TrackedReadsOptions;
  readonly #kept: KeptValues;
  readonly #counts = new ChangeCounts();
  #told = 0;
  readonly changes: RemoteChanges;
  #connection: TrackingConnection | null = null;
  /** Of the connection: changes are told. */
  #isOn = false;
  #turns = 0;
  #reason: string | null = "it is not open yet";
  #again: NodeJS.Timeout | null = null;
  #againMs = AGAIN_MS_MIN;
  #onSinceMs = 0;
  #isClosed = false;

  constructor(options: TrackedReadsOptions) {
    this.#options = options;
    this.#kept = new KeptValues(options.keptBytesMax);
    const told = (): number => this.#told;
    this.changes = {
      get told() {
        return told();
      },
      cellOf: (key) => this.#counts.cellOf(toBytes(tagOf(key))),
      of: (cell) => (this.#isTrusted() ? this.#counts.of(cell) : Number.NaN),
    };
    this.#open();
  }

  /** Whether changes are told; without it nothing is kept. */
  get isOn(): boolean {
    return this.#isOn;
  }

  /** Why they are not; null where they are. */
  get reason(): string | null {
    return this.#isOn ? null : this.#reason;
  }

  /** Times that changes began to be told, and ended to be: what is read before and after may be of two servers. */
  get turns(): number {
    return this.#turns;
  }

  /** What Redis has under all of the names (byte strings), or null where that is not known of one. */
  here(names: readonly string[]): (Uint8Array | null)[] | null {
    if (!this.#isTrusted()) return null;
    const values: (Uint8Array | null)[] = [];
    for (const name of names) {
      const value = this.#kept.get(name);
      if (value === undefined) return null;
      values.push(value);
    }
    return values;
  }

  /**
   * Strings by name (byte strings), in what came; null where they must be asked for elsewhere, of which nothing may be kept: then
   * `turns` has moved. Throws `STORE_TIMEOUT`, `STORE_UNAVAILABLE`.
   */
  async read(names: readonly string[], namesPerCommand: number): Promise<readonly (Uint8Array | null)[] | null> {
    const commands: string[][] = [];
    for (let from = 0; from < names.length; from += namesPerCommand) {
      commands.push(["MGET", ...names.slice(from, from + namesPerCommand)]);
    }
    let number = 0;
    const values: (Uint8Array | null)[] = [];
    // In the turn of each reply: what is told of changes comes behind it.
    const took = (reply: RedisReply): void => {
      const asked = commands[number++]!;
      if (!Array.isArray(reply) || reply.length !== asked.length - 1) return;
      for (const [i, value] of (reply as readonly (Buffer | null)[]).entries()) {
        this.#kept.keep(asked[i + 1]!, value);
        values.push(value);
      }
    };
    for (let from = 0; from < commands.length; from += COMMANDS_PER_ROUND) {
      if ((await this.#ask(commands.slice(from, from + COMMANDS_PER_ROUND), took)) === null) return null;
    }
    if (values.length === names.length) return values;
    this.#connection?.close("a reply has other values than were asked for");
    return null;
  }

  /** Fields of a hash; null as `read`, which see. */
  async readFields(name: string, fields: readonly string[]): Promise<readonly (Buffer | null)[] | null> {
    const replies = await this.#ask([["HMGET", name, ...fields]]);
    const reply = replies?.[0];
    return Array.isArray(reply) ? (reply as (Buffer | null)[]) : null;
  }

  /** Whether all that Redis had changed up to a moment ago was told. */
  #isTrusted(): boolean {
    return this.#isOn && performance.now() - this.#connection!.heardMs <= TRUSTED_MS;
  }

  #allChanged(): void {
    this.#kept.clear();
    this.#counts.allChanged();
    this.#told++;
  }

  #changed(name: string): void {
    const tag = tagIn(name);
    // Places change all the time, and nothing is kept of them.
    if (tag === null) return;
    this.#kept.forget(name);
    this.#counts.changed(tag);
    this.#told++;
  }

  close(): void {
    this.#isClosed = true;
    if (this.#again !== null) clearTimeout(this.#again);
    this.#connection?.close();
  }

  /** Null where it is not on, or ended meanwhile. Throws `STORE_TIMEOUT`, `STORE_UNAVAILABLE`. */
  async #ask(
    commands: readonly (readonly string[])[],
    took?: (reply: RedisReply) => void,
  ): Promise<readonly RedisReply[] | null> {
    const connection = this.#connection;
    if (connection === null || !this.#isOn) return null;
    const { address } = this.#options;
    if (connection.waiting > 0 && connection.waiting + commands.length > WAITING_MAX)
      throw storeUnavailable(address, `${connection.waiting} commands wait for it`);
    try {
      const replies = await inTime(connection.askAll(commands, took), address);
      const error = replies.find((reply) => reply instanceof RedisError);
      if (error === undefined) return replies;
      // What is asked for elsewhere must not go with what is kept: there nobody is told of changes.
      connection.close(error.message);
    } catch (error) {
      if (!(error instanceof TrackingEnded)) throw error;
      if (error.isSilent) throw storeTimeout(address);
    }
    return null;
  }

  #open(): void {
    this.#again = null;
    const connection = new TrackingConnection(this.#options.address, {
      onReady: () => {
        this.#isOn = true;
        this.#onSinceMs = performance.now();
        this.#turns++;
        this.#allChanged();
      },
      onChanged: (keys) => {
        if (keys === null) this.#allChanged();
        else for (const key of keys) this.#changed(key.toString("latin1"));
      },
      onEnd: (end) => this.#ended(end),
    });
    this.#connection = connection;
  }

  #ended({ reason, isRefused }: TrackingEnd): void {
    if (this.#isOn) {
      this.#turns++;
      if (performance.now() - this.#onSinceMs > STOOD_MS) this.#againMs = AGAIN_MS_MIN;
    }
    this.#isOn = false;
    this.#reason = reason;
    this.#connection = null;
    this.#allChanged();
    if (this.#isClosed) return;
    const waitMs = isRefused ? REFUSED_AGAIN_MS : this.#againMs;
    this.#againMs = Math.min(AGAIN_MS_MAX, 2 * this.#againMs);
    // As other clients come back: not all in one moment.
    this.#again = setTimeout(() => this.#open(), waitMs * (0.9 + 0.2 * Math.random()));
    this.#again.unref();
  }
}
