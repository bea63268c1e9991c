/**
 * The online store on Redis 7 or Valkey, one server or a cluster (docs/redis.md; keys: `redis-keys.ts`).
 *
 * A state is written by a function that runs on the server: it compares the version in the stored value with the one
 * that is to be written, and writes where that is newer, in one step. It is handed all states of an entity at once,
 * and on a single server those of many entities.
 */
import { isOnefoldError } from "../../base/errors.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import type {
  KeyedState,
  MetaWrite,
  NamedMeta,
  RefusedWrite,
  RemoteChanges,
  RemoteOnlineStore,
  StateMarks,
  StateRead,
  StateSpace,
  StateWrite,
  StoredState,
  StoreReading,
} from "../online-store.ts";
import { fromStored, stateOf, toStored, versionOf } from "../stored-state.ts";
import { groupByKey, inPlaces, joinGroups, stateOrNone, type StatesRead } from "./grouped-states.ts";
import { lendUnpacked, packBytes, unpackBytes } from "./packed-bytes.ts";
import { endOfRound } from "./command-rounds.ts";
import { inTime } from "./call-limits.ts";
import { parseRedisAddress, type RedisAddress } from "./redis-address.ts";
import { ClusterReplicas } from "./cluster-replicas.ts";
import { RedisKeys } from "./redis-keys.ts";
import { type RedisArgument, type RedisCommand, RedisLink } from "./redis-link.ts";
import { WRITE_NEWER, WRITE_NEWER_COMMAND, refusedIn } from "./write-newer.ts";
import { RoundSize } from "./round-size.ts";
import { TrackedReads } from "./tracked-reads.ts";
import { toBytes } from "./tracking-connection.ts";
import { SlotMarks } from "./slot-marks.ts";
import { FORMAT_FIELD, refuseOtherStoreFormat, storeFormatMark } from "./store-format.ts";

/** So much is asked of a single server by one command, so that it can do something else in between. */
const KEYS_PER_COMMAND = 500;
const BYTES_PER_COMMAND = 128 * 1024;
/** So much is asked for before the next waits for it. */
const READS_PER_ROUND = 16_000;
const SCAN_COUNT = 1000;
const LINK_PING_MS = 1000;

export interface RedisStoreOptions {
  /** As in `parseRedisAddress`. */
  readonly url: string;
  /** Where the URL has none. */
  readonly password?: string;
  /**
   * Keeps what `readStored` gives for as long as Redis says of no change, within so many bytes: for those who read the same
   * again and again. Of a single server; default nothing is kept.
   */
  readonly keptBytesMax?: number;
}

/** Does not wait for the connection: `ping` does. Throws `REQUEST_INVALID`, `FILE_UNREADABLE`. */
export async function openRedisStore(options: RedisStoreOptions): Promise<RedisOnlineStore> {
  const { url, password, keptBytesMax = 0 } = options;
  const address = parseRedisAddress(url, password);
  const link = await RedisLink.open(address, { [WRITE_NEWER_COMMAND]: WRITE_NEWER });
  const { prefix, timeoutMs, replicasMax } = address;
  const keys = new RedisKeys(prefix);
  const replicas = address.isCluster ? new ClusterReplicas({ link, keys, replicasMax, timeoutMs }) : null;
  const tracked = address.isCluster || keptBytesMax === 0 ? null : new TrackedReads({ address, keptBytesMax });
  return new RedisOnlineStore({ address, link, keys, round: new RoundSize(timeoutMs), replicas, tracked });
}

export interface RedisStoreParts {
  readonly address: RedisAddress;
  readonly link: RedisLink;
  readonly keys: RedisKeys;
  readonly round: RoundSize;
  readonly replicas: ClusterReplicas | null;
  readonly tracked: TrackedReads | null;
}

export class RedisOnlineStore implements RemoteOnlineStore {
  readonly #address: RedisAddress;
  readonly #link: RedisLink;
  readonly #keys: RedisKeys;
  /** Of writes. */
  readonly #round: RoundSize;
  /** Of a cluster. */
  readonly #replicas: ClusterReplicas | null;
  readonly #tracked: TrackedReads | null;
  readonly marks: StateMarks | undefined;
  /** Whether it was looked at, and marked, before the first write. */
  #isMarked = false;
  #pingedMs = Number.NEGATIVE_INFINITY;

  /** Use `openRedisStore`. */
  constructor({ address, link, keys, round, replicas, tracked }: RedisStoreParts) {
    this.#address = address;
    this.#link = link;
    this.#keys = keys;
    this.#round = round;
    this.#replicas = replicas;
    this.#tracked = tracked;
    this.marks = link.isCluster ? new SlotMarks(link, keys) : undefined;
  }

  get isCluster(): boolean {
    return this.#link.isCluster;
  }

  /** Times that the connection to a server broke. What the store had may be less after each. */
  get connectionsLost(): number {
    return this.#link.connectionsLost;
  }

  get way(): number {
    return this.#link.connectionsLost + (this.#tracked?.turns ?? 0);
  }

  /** Whether Redis tells of changes, and why not; null where it is not asked to. */
  get tracking(): { readonly isOn: boolean; readonly reason: string | null } | null {
    return this.#tracked;
  }

  get servers(): string | null {
    return this.#link.servers;
  }

  async isReplicated(): Promise<boolean> {
    return this.#replicas === null || this.#replicas.haveAll();
  }

  /** Resolves once the store answers, as `RedisLink.connected`. Throws `STORE_UNAVAILABLE`, `STORE_TIMEOUT`, `STORE_FORMAT`. */
  async ping(): Promise<void> {
    await this.#link.connected();
    await this.#readMark();
  }

  async read(states: readonly StateRead[], metas: readonly string[] = []): Promise<StoreReading> {
    const reads = this.#readsOf(states);
    const fields = [FORMAT_FIELD, ...metas];
    const tracked = metas.length === 0 || reads.length > 0 ? null : await this.#readTracked(fields);
    const first =
      metas.length === 0 || tracked !== null ? [] : [{ name: "hmget", args: [this.#keys.metas, ...fields] }];
    const replies = await this.#readInRounds([...first, ...reads.map(({ command }) => command)]);
    const [mark, ...foundMetas] =
      metas.length === 0 ? [null] : (tracked ?? (replies.shift() as readonly (Buffer | null)[]));
    refuseOtherStoreFormat(mark!, this.#keys.metas);
    const readMetas = foundMetas.map((bytes) => bytes && ownBytes(bytes));
    const stored = inPlaces(states.length, reads, replies);
    return { states: stored.map((value) => value && unpacked(value)), metas: readMetas };
  }

  /** So that what is read of places is not older than what is kept of states. */
  async #readTracked(fields: readonly string[]): Promise<readonly (Buffer | null)[] | null> {
    if (this.#tracked === null) return null;
    this.#keepLinkOpen();
    return this.#tracked.readFields(toBytes(this.#keys.metas), fields.map(toBytes));
  }

  get changes(): RemoteChanges | undefined {
    return this.#tracked?.changes;
  }

  readHere(states: readonly StateRead[]): readonly (Uint8Array | null)[] | null {
    return this.#tracked?.here(this.#namesOf(states))?.map(stateOrNone) ?? null;
  }

  async readStored(states: readonly StateRead[]): Promise<readonly (Uint8Array | null)[]> {
    if (this.#tracked === null) return this.#readByLink(states);
    const beganMs = performance.now();
    const values = await this.#tracked.read(this.#namesOf(states), KEYS_PER_COMMAND);
    if (values !== null) return values.map(stateOrNone);
    const tookMs = performance.now() - beganMs;
    const reading = this.#readByLink(states);
    // What was waited for in vain counts, too.
    return tookMs < 1 ? reading : inTime(reading, this.#address, Math.max(0, this.#address.timeoutMs - tookMs));
  }

  /** Else a server that closes idle connections would have it lost again and again. */
  #keepLinkOpen(): void {
    const now = performance.now();
    if (now - this.#pingedMs < LINK_PING_MS) return;
    this.#pingedMs = now;
    this.#link.send([{ name: "ping", args: [] }]).catch(() => undefined);
  }

  async #readByLink(states: readonly StateRead[]): Promise<readonly (Uint8Array | null)[]> {
    const commands = this.#readsOf(states);
    const replies = await this.#readInRounds(commands.map(({ command }) => command));
    return inPlaces(states.length, commands, replies);
  }

  stateIn(stored: Uint8Array): Uint8Array {
    return lendUnpacked(stateOf(stored), versionOf(stored).offset);
  }

  #namesOf(states: readonly StateRead[]): string[] {
    return states.map(({ space, key }) => toBytes(this.#keys.state(space, key)));
  }

  /** States of one entity by one command. */
  #readsOf(states: readonly StateRead[]): StatesRead[] {
    const keys = states.map(({ space, key }) => this.#keys.state(space, key));
    if (states.length === 0) return [];
    if (!this.#link.isCluster && keys.length <= KEYS_PER_COMMAND) {
      return [{ places: null, command: { name: "mget", args: keys } }];
    }
    const groups = groupByKey(states);
    const batches = this.#link.isCluster ? groups : joinGroups(groups, (indexes) => indexes.length, KEYS_PER_COMMAND);
    return batches.map((places) => ({ places, command: { name: "mget", args: places.map((i) => keys[i]!) } }));
  }

  async commit(states: readonly StateWrite[], metas: readonly MetaWrite[]): Promise<readonly RefusedWrite[]> {
    if (!this.#isMarked && (states.length > 0 || metas.length > 0)) await this.#mark();
    const groups = groupByKey(states);
    const batches = this.#link.isCluster
      ? groups
      : joinGroups(groups, (indexes) => bytesOf(states, indexes), BYTES_PER_COMMAND, KEYS_PER_COMMAND);
    const commands = batches.map((indexes): RedisCommand => {
      const keys: RedisArgument[] = [];
      const values: RedisArgument[] = [];
      for (const i of indexes) {
        const state = states[i]!;
        keys.push(this.#keys.state(state.space, state.key));
        values.push(packed(state), state.keptMs === undefined ? "" : String(Math.max(1, Math.ceil(state.keptMs))));
      }
      return { name: WRITE_NEWER_COMMAND, args: [keys.length, ...keys, ...values] };
    });
    const { connectionsLost } = this.#link;
    // So that a connection that is not there yet is no lost one.
    if (states.length === 0 && metas.length > 0) await this.ping();
    const replies = (await this.#writeInRounds(commands)) as (number | Buffer)[][];
    await this.#writeMetas(metas, connectionsLost);
    const refused = replies.flatMap((reply, batch) => refusedIn(reply, batches[batch]!));
    return refused.sort((a, b) => a.index - b.index);
  }

  async *scanStates(space: StateSpace, after?: EntityKey): AsyncIterableIterator<KeyedState> {
    const found = [...(await this.#entityKeys(space))]
      .map((key) => ({ key, bytes: Buffer.from(key) }))
      .sort((a, b) => Buffer.compare(a.bytes, b.bytes));
    const behind = after === undefined ? null : Buffer.from(after);
    const keys = found.filter(({ bytes }) => behind === null || Buffer.compare(bytes, behind) > 0);
    for (let from = 0; from < keys.length; from += SCAN_COUNT) {
      const part = keys.slice(from, from + SCAN_COUNT);
      const { states } = await this.read(part.map(({ key }) => ({ space, key })));
      for (const [i, state] of states.entries()) if (state !== null) yield { key: part[i]!.key, ...state };
    }
  }

  async *scanMetas(prefix: string, after?: string): AsyncIterableIterator<NamedMeta> {
    const found = new Map<string, Uint8Array>();
    for (let cursor = "0"; ;) {
      const args = [this.#keys.metas, cursor, "COUNT", SCAN_COUNT];
      const [[next, entries]] = (await this.#link.send([{ name: "hscan", args }])) as [[Buffer, Buffer[]]];
      for (let i = 0; i < entries.length; i += 2) {
        const name = entries[i]!.toString();
        if (name.startsWith(prefix) && name !== FORMAT_FIELD) found.set(name, ownBytes(entries[i + 1]!));
      }
      cursor = next.toString();
      if (cursor === "0") break;
    }
    const behind = after === undefined ? null : Buffer.from(after);
    const ordered = [...found].map(([name, bytes]) => ({ name, bytes, order: Buffer.from(name) }));
    for (const { name, bytes, order } of ordered.sort((a, b) => Buffer.compare(a.order, b.order))) {
      if (behind === null || Buffer.compare(order, behind) > 0) yield { name, bytes };
    }
  }

  async dropSpace(space: StateSpace): Promise<void> {
    for await (const keys of this.#scanKeys(space)) {
      await this.#writeInRounds(keys.map((key) => ({ name: "unlink", args: [key] })));
    }
  }

  async countStates(space: StateSpace): Promise<number> {
    return (await this.#entityKeys(space)).size;
  }

  close(): Promise<void> {
    this.#tracked?.close();
    return this.#link.close();
  }

  async #readMark(): Promise<Buffer | null> {
    const replies = await this.#link.send([{ name: "hmget", args: [this.#keys.metas, FORMAT_FIELD] }]);
    const [[mark]] = replies as [[Buffer | null]];
    refuseOtherStoreFormat(mark, this.#keys.metas);
    return mark;
  }

  /**
   * Two that find no mark at one moment both set it; whoever reads a place later refuses what is not its own. Writers of two
   * formats that start at once on an empty store are not told apart by more than that.
   */
  async #mark(): Promise<void> {
    const mark = await this.#readMark();
    if (mark === null) {
      await this.#link.send([{ name: "hset", args: [this.#keys.metas, FORMAT_FIELD, storeFormatMark()] }]);
    }
    this.#isMarked = true;
  }

  /** Not over another connection than the states: a server that was away may have lost some of them. */
  async #writeMetas(metas: readonly MetaWrite[], connectionsLost: number): Promise<void> {
    const present = new Map(metas.map(({ name, bytes }) => [name, bytes]));
    const written: RedisArgument[] = [];
    const removed: RedisArgument[] = [];
    for (const [name, bytes] of present) {
      if (bytes === null) removed.push(name);
      else written.push(name, Buffer.from(bytes));
    }
    const commands: RedisCommand[] = [];
    // With the mark: a store that came back empty is marked again before it has a place.
    const marked = [FORMAT_FIELD, storeFormatMark(), ...written];
    if (written.length > 0) commands.push({ name: "hset", args: [this.#keys.metas, ...marked] });
    if (removed.length > 0) commands.push({ name: "hdel", args: [this.#keys.metas, ...removed] });
    if (commands.length > 0) await this.#link.sendUnlessLost(commands, connectionsLost);
  }

  async #entityKeys(space: StateSpace): Promise<Set<EntityKey>> {
    const found = new Set<EntityKey>();
    for await (const keys of this.#scanKeys(space)) {
      for (const key of keys) found.add(this.#keys.entityKey(space, key)!);
    }
    return found;
  }

  /** The Redis keys of a space, in parts and in no order; one may come twice. */
  async *#scanKeys(space: StateSpace): AsyncIterableIterator<string[]> {
    const pattern = this.#keys.patternOf(space);
    /** By server; null of one that is through. */
    const cursors = new Map<string, string | null>();
    for (;;) {
      const replies = await this.#link.sendToServers((server) => {
        const cursor = cursors.has(server) ? cursors.get(server)! : "0";
        return cursor === null ? [] : [{ name: "scan", args: [cursor, "MATCH", pattern, "COUNT", SCAN_COUNT] }];
      });
      const keys: string[] = [];
      for (const [server, [reply]] of replies as Map<string, [[Buffer, Buffer[]]?]>) {
        if (reply === undefined) continue;
        const next = reply[0].toString();
        cursors.set(server, next === "0" ? null : next);
        for (const key of reply[1]) {
          const text = key.toString();
          if (this.#keys.entityKey(space, text) !== null) keys.push(text);
        }
      }
      if (keys.length > 0) yield keys;
      if ([...replies.keys()].every((server) => cursors.get(server) === null)) return;
    }
  }

  async #readInRounds(commands: readonly RedisCommand[]): Promise<unknown[]> {
    const replies: unknown[] = [];
    for (let from = 0; from < commands.length;) {
      const to = endOfRound(commands, from, READS_PER_ROUND, Number.POSITIVE_INFINITY);
      replies.push(...(await this.#link.send(commands.slice(from, to))));
      from = to;
    }
    return replies;
  }

  /** Each round has the time limit to itself; one that runs into it makes the next, of whoever tries again, smaller. */
  async #writeInRounds(commands: readonly RedisCommand[]): Promise<unknown[]> {
    const replies: unknown[] = [];
    for (let from = 0; from < commands.length;) {
      const to = endOfRound(commands, from, this.#round.states, this.#round.bytes);
      const began = performance.now();
      try {
        replies.push(...(await this.#link.send(commands.slice(from, to))));
      } catch (error) {
        if (isOnefoldError(error) && error.code === "STORE_TIMEOUT") this.#round.took(performance.now() - began);
        throw error;
      }
      this.#round.took(performance.now() - began);
      from = to;
    }
    return replies;
  }
}

function bytesOf(states: readonly StateWrite[], indexes: readonly number[]): number {
  return indexes.reduce((sum, i) => sum + states[i]!.bytes.length, 0);
}

/** The version as it is, for the server to compare; the state in fewer bytes. */
function packed({ epoch, offset, bytes }: StoredState): Buffer {
  return toStored({ epoch, offset, bytes: bytes.length === 0 ? bytes : packBytes(bytes, offset) });
}

function unpacked(value: Buffer): StoredState {
  const { epoch, offset, bytes } = fromStored(value);
  return { epoch, offset, bytes: unpackBytes(bytes, offset) };
}

/** Replies may lie in one buffer with others. */
function ownBytes(bytes: Buffer): Uint8Array {
  return new Uint8Array(bytes);
}
