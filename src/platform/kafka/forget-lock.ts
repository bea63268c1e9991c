/**
 * One command that forgets at a time, of those that share topics and an online store: a lease that is renewed while the command
 * runs, and given up at its end. One that was killed holds it for a minute more.
 *
 * A command that stood still for as long finds that it no longer holds the lease, before it changes anything further.
 */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { type Clock, systemClock } from "../../base/clock.ts";
import { OnefoldError } from "../../base/errors.ts";
import { formatMicros } from "../../base/micros.ts";
import type { OnlineStore } from "../../online-store/online-store.ts";

const SPACE = "kafka-forgetting";
const LEASE_MS = 60_000;
/** Of the lease, between two renewals, and until it is no longer relied on. */
const RENEW_SHARE = 1 / 6;
const TRUST_SHARE = 3 / 4;

export interface ForgetLockOptions {
  readonly store: Pick<OnlineStore, "read" | "commit">;
  /** Of the topics. */
  readonly prefix: string;
  readonly leaseMs?: number;
  readonly clock?: Clock;
}

export class ForgetLock {
  readonly #options: ForgetLockOptions;
  readonly #leaseMs: number;
  readonly #bytes: Uint8Array;
  #isTaken = false;
  #heldMs = Number.NEGATIVE_INFINITY;
  #isLost = false;
  #timer: NodeJS.Timeout | null = null;
  /** One write at a time. It never rejects. */
  #writing: Promise<void> = Promise.resolve();

  private constructor(options: ForgetLockOptions) {
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
    const since = formatMicros((options.clock ?? systemClock).now());
    const holder = { host: hostname(), pid: process.pid, since, lease: randomUUID() };
    this.#bytes = new Uint8Array(Buffer.from(JSON.stringify(holder)));
  }

  /** Throws `STORAGE_LOCKED` where another holds it, and what the store throws. */
  static async take(options: ForgetLockOptions): Promise<ForgetLock> {
    const lock = new ForgetLock(options);
    const askedMs = performance.now();
    // Of two that find nothing one has the same version as what is there by then.
    if (!(await lock.#write(lock.#bytes, lock.#leaseMs))) throw await lock.#held();
    lock.#heldMs = askedMs;
    lock.#timer = setInterval(() => void lock.renew(), lock.#leaseMs * RENEW_SHARE).unref();
    return lock;
  }

  /** Throws `FORGET_UNFINISHED` once another may hold it. */
  check(): void {
    if (!this.#isLost && performance.now() - this.#heldMs < this.#leaseMs * TRUST_SHARE) return;
    throw new OnefoldError("FORGET_UNFINISHED", "the command stood still, and another may have begun meanwhile", {
      where: this.#options.prefix,
      hint: "once no other forgets, give the same command again",
    });
  }

  /** Done by itself, every now and then. Never rejects. */
  renew(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      const askedMs = performance.now();
      // A store that is away for a while takes nothing of the lease.
      const isHeld = await this.#write(this.#bytes, this.#leaseMs).catch(() => null);
      // Who stood still while it was asked may have written over another's that came meanwhile.
      const isLate = performance.now() - askedMs > this.#leaseMs * TRUST_SHARE;
      if (isHeld === false || (isHeld === true && isLate)) this.#isLost = true;
      else if (isHeld === true) this.#heldMs = askedMs;
    });
    return this.#writing;
  }

  /** It is another's at once. Never rejects: at the latest it ends with the lease. */
  async release(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#writing;
    if (!this.#isLost) await this.#write(new Uint8Array(0), 1).catch(() => undefined);
  }

  /** Resolves with whether it landed: it does where nothing is stored, or an older one of ours. */
  async #write(bytes: Uint8Array, keptMs: number): Promise<boolean> {
    const { store, prefix } = this.#options;
    const { states } = await store.read([{ space: SPACE, key: prefix }]);
    const stored = states[0] ?? null;
    const isOurs = stored !== null && Buffer.from(stored.bytes).equals(this.#bytes);
    if (this.#isTaken ? !isOurs : stored !== null) return false;
    // One that was not answered for in time may have landed.
    const offset = stored === null ? 0 : stored.offset + 1;
    const refused = await store.commit([{ space: SPACE, key: prefix, epoch: 0, offset, bytes, keptMs }], []);
    // A write whose answer was lost is sent again, and then refused by itself.
    if (refused.length > 0 && !(await this.#isThere(bytes, offset))) return false;
    this.#isTaken = true;
    return true;
  }

  async #isThere(bytes: Uint8Array, offset: number): Promise<boolean> {
    const { store, prefix } = this.#options;
    const [stored] = (await store.read([{ space: SPACE, key: prefix }])).states;
    return (
      stored !== undefined && stored !== null && stored.offset === offset && Buffer.from(stored.bytes).equals(bytes)
    );
  }

  async #held(): Promise<OnefoldError> {
    const { store, prefix } = this.#options;
    const { states } = await store.read([{ space: SPACE, key: prefix }]);
    const stored = states[0] ?? null;
    const { host, pid, since } =
      stored === null ? {} : (JSON.parse(Buffer.from(stored.bytes).toString("utf8")) as Record<string, unknown>);
    const who =
      host === undefined ? "another process" : `process ${String(pid)} on ${String(host)}, since ${String(since)},`;
    return new OnefoldError("STORAGE_LOCKED", `${who} is forgetting an entity in the topics of ${prefix}`, {
      where: prefix,
      hint: "one at a time: wait until it is done, then give the command again; one that was killed is waited for for a minute",
    });
  }
}
