/**
 * The routing half of a worker: fetches partitions of sources' topics and appends their events to internal topics.
 *
 *     fetch ─▶ claim ids ─▶ wait for verdicts ─▶ append events ─▶ commit positions
 *
 * A position is committed to the group once all before it are appended; see `origin.ts` for why that suffices,
 * `claim-fold.ts` for ids, and `route-position.ts` for topics that come later. Where a step fails, the next turn goes
 * on from what the group has committed.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../../base/clock.ts";
import { isOnefoldError, type OnefoldError } from "../../base/errors.ts";
import type { Micros } from "../../base/micros.ts";
import type { OnlineStore } from "../../online-store/online-store.ts";
import { REFUSED_KEPT_MS, type Verdict } from "./claim-fold.ts";
import type { KafkaConnection } from "./connection.ts";
import type { FetchedPartition, FetchFrom, GroupPosition, NewRecord, TopicFacts, TopicPartition } from "./records.ts";
import { letterRecord } from "./dead-letter-topic.ts";
import { FetchAhead } from "./fetch-ahead.ts";
import type { ForgottenPlaces } from "./forgotten-notes.ts";
import type { GroupSeat } from "./group-seat.ts";
import { NotedOrigins } from "./noted-origins.ts";
import { partitionName } from "./position.ts";
import { IDS_HEADER } from "./record-stamp.ts";
import { type RoutePlace, RoutePosition } from "./route-position.ts";
import { withoutTables } from "./refolding.ts";
import {
  bytesOf,
  claimsOf,
  countOf,
  inRounds,
  isCorrection,
  type RoutedItem,
  type RoutedPartition,
} from "./routed-rounds.ts";
import { compileRouter, type Router } from "./router.ts";
import type { SourceRoutes } from "./routes.ts";
import type { Verdicts } from "./verdicts.ts";
import { WholeUntil } from "./whole-until.ts";

export interface RouteLoopOptions {
  readonly connection: Pick<KafkaConnection, "fetch" | "offsets" | "send">;
  readonly clock: Clock;
  /** Those that are routed. */
  readonly plans: readonly SourceRoutes[];
  /** Facts of sources' and internal topics. */
  readonly topics: ReadonlyMap<string, TopicFacts>;
  readonly seat: Pick<GroupSeat, "commit" | "committed">;
  readonly verdicts: Pick<Verdicts, "of">;
  /** Why the events of a source cannot be corrected; none can without it. */
  readonly refusal?: ((plan: SourceRoutes) => Promise<OnefoldError | null>) | undefined;
  /** Records of a source's topic that are left out; none without it. */
  readonly forgotten?: ((source: string) => Promise<ForgottenPlaces>) | undefined;
  /** So long a look at them is relied on; by default what suits a command that waits for it. */
  readonly notesTrustedMs?: number;
  /** Is told up to when everything is routed; nobody is without it. */
  readonly store?: OnlineStore;
  /** Waited for verdicts in one turn. */
  readonly verdictsMs?: number;
  /** Records claimed and appended at once. */
  readonly roundRecords?: number;
}

export interface RouteProgress {
  readonly events: number;
  readonly deadLetters: number;
  readonly lag: number;
}

/** How far a fetch reached. */
interface FetchedEnd extends TopicPartition {
  readonly isAll: boolean;
  /** Time of the last record. */
  readonly lastTaken: number;
}

/** In one append, but for what one record makes: well below what a broker takes for one partition. */
const APPEND_BYTES_MAX = 768 * 1024;
/** Records of a round: while their ids are judged, the ones before are appended and folded. */
const ROUND_RECORDS = 2000;
/** Rounds claimed at one time. */
const ROUNDS_AHEAD = 3;
const VERDICTS_MS = 200;
const LOOK_MS_MAX = 16;

export class RouteLoop {
  readonly #options: RouteLoopOptions;
  readonly #fetching: FetchAhead;
  readonly #routers = new Map<string, Router[]>();
  /** Ids of the topics that a source's topic is routed to. */
  readonly #targets = new Map<string, string[]>();
  readonly #positions = new Map<string, TopicPartition & { readonly at: RoutePosition }>();
  /** Notes that the group has, by partition. */
  readonly #committed = new Map<string, string>();
  readonly #lags = new Map<string, number>();
  /** Rounds of records whose ids are claimed, and may be judged. */
  #claimed: (readonly RoutedPartition[])[] = [];
  readonly #noted: NotedOrigins;
  /** Those that come next. */
  #fetched: (readonly RoutedPartition[])[] = [];
  #owned: readonly TopicPartition[] = [];
  readonly #whole: WholeUntil;
  /** What was fetched last, until all of it is routed. */
  #routing: { readonly askedAt: number; readonly ends: readonly FetchedEnd[] } | null = null;
  #events = 0;
  #deadLetters = 0;

  constructor(options: RouteLoopOptions) {
    this.#options = options;
    this.#fetching = new FetchAhead(options.connection, "route", options.clock);
    this.#whole = new WholeUntil(options.clock);
    const { plans, topics } = options;
    const sources = plans.map(({ source }) => source.name);
    this.#noted = new NotedOrigins(sources, options.forgotten, options.notesTrustedMs);
    const counts = new Map(Array.from(topics, ([name, { partitionCount }]) => [name, partitionCount]));
    for (const plan of plans) {
      const router = compileRouter(plan, topics.get(plan.topic)!.id, counts);
      // Several sources may read one topic, each in its own way.
      this.#routers.set(plan.topic, [...(this.#routers.get(plan.topic) ?? []), router]);
      const targets = plan.routes.map((route) => topics.get(route.topic)!.id);
      this.#targets.set(plan.topic, [...(this.#targets.get(plan.topic) ?? []), ...targets]);
    }
  }

  own(partitions: readonly TopicPartition[]): void {
    this.#owned = partitions;
  }

  get progress(): RouteProgress {
    const lag = [...this.#lags.values()].reduce((sum, one) => sum + one, 0);
    return { events: this.#events, deadLetters: this.#deadLetters, lag };
  }

  drop(): void {
    this.#fetching.drop();
    this.#positions.clear();
    this.#committed.clear();
    this.#lags.clear();
    this.#claimed = [];
    this.#fetched = [];
    this.#routing = null;
    this.#whole.drop();
  }

  /** Resolves with how many records were at hand; null without partitions. */
  async turn(): Promise<number | null> {
    await this.#settle();
    if (this.#positions.size === 0) return null;
    const behind = Array.from(this.#positions.values()).flatMap(({ at, ...partition }): FetchFrom[] =>
      at.behind === null ? [] : [{ ...partition, offset: at.behind }],
    );
    const taken = (await this.#routeLive(behind.length > 0)) + (await this.#routeBehind(behind));
    await this.#commit();
    await this.#tellWhole();
    return taken;
  }

  async #tellWhole(): Promise<void> {
    if (this.#routing !== null && this.#claimed.length === 0 && this.#fetched.length === 0) {
      const { askedAt, ends } = this.#routing;
      this.#routing = null;
      for (const { isAll, lastTaken, ...partition } of ends) {
        if (this.#positions.has(partitionName(partition.topic, partition.partition)))
          this.#whole.took(partition, askedAt, isAll, lastTaken);
      }
    }
    const { store, topics } = this.#options;
    if (store === undefined || !this.#whole.isDue) return;
    const notes = Array.from(this.#positions.values(), ({ topic, partition }) => {
      // A topic may have been given more partitions since.
      const partitions = Math.max(topics.get(topic)!.partitionCount, partition + 1);
      return { topic, partition, note: { partitions, lastEventAt: null } };
    });
    try {
      await this.#whole.tell(store, notes);
    } catch (error) {
      // Routing does not wait for a store that is away: that the note grows old says enough.
      const isAway = isOnefoldError(error) && (error.code === "STORE_UNAVAILABLE" || error.code === "STORE_TIMEOUT");
      if (!isAway) throw error;
    }
  }

  /**
   * One round of records, while the ids of the next ones are judged. Where topics are behind, they do not wait for
   * events to come here.
   */
  async #routeLive(isHurried: boolean): Promise<number> {
    const { roundRecords = ROUND_RECORDS } = this.#options;
    if (this.#claimed.length === 0 && this.#fetched.length === 0) {
      const from = Array.from(this.#positions.values(), ({ at, ...partition }) => ({ ...partition, offset: at.live }));
      const fetched = await (isHurried ? this.#fetching.fetch(from, 0) : this.#fetching.fetch(from));
      const routed = await this.#uncorrectable(fetched.map((one) => this.#routed(one, "live")));
      this.#fetched = inRounds(routed, roundRecords);
      this.#routing = { askedAt: this.#fetching.askedAt, ends: fetched.map(endOf) };
    }
    while (this.#claimed.length < ROUNDS_AHEAD && this.#fetched.length > 0) {
      await this.#send(claimsOf(this.#fetched[0]!).map(({ record }) => record));
      this.#claimed.push(this.#fetched.shift()!);
    }
    const [round] = this.#claimed;
    if (round === undefined) return 0;
    const verdicts = await this.#judged(round);
    if (verdicts === null) return countOf(round);
    const taken = await this.#append(round, verdicts, "live");
    this.#claimed.shift();
    return taken;
  }

  /** Claims of what the others have gone past were judged; a failover may have taken that back, until they are again. */
  async #routeBehind(behind: readonly FetchFrom[]): Promise<number> {
    if (behind.length === 0) return 0;
    const fetched = await this.#options.connection.fetch(behind, 0, "route-behind");
    const routed = await this.#uncorrectable(fetched.map((one) => this.#routed(one, "behind")));
    const verdicts = await this.#judged(routed);
    return verdicts === null ? countOf(routed) : this.#append(routed, verdicts, "behind");
  }

  #routed({ topic, partition, records, nextOffset, endOffset }: FetchedPartition, place: RoutePlace): RoutedPartition {
    const name = partitionName(topic, partition);
    const { at } = this.#positions.get(name)!;
    const end = place === "live" ? nextOffset : Math.min(nextOffset, at.live);
    this.#lags.set(`${place} ${name}`, Math.max(0, (place === "live" ? endOffset : at.live) - end));
    const { clock, topics } = this.#options;
    const origin = `${topics.get(topic)!.id}/${partition}`;
    const routers = this.#routers.get(topic)!.map((router) => {
      return { router, forgotten: this.#noted.of(router.routes.source.name, origin) };
    });
    const items = records
      .filter(({ offset }) => offset < end)
      .flatMap((record) =>
        routers.flatMap(({ router, forgotten }): RoutedItem[] => {
          if (forgotten?.has(record.offset) === true) return [];
          return [{ router, record, routed: router.route(record, partition, clock.now()) }];
        }),
      );
    return { topic, partition, at, end, items };
  }

  /** Letters in the place of corrections of sources that take none. */
  async #uncorrectable(routed: readonly RoutedPartition[]): Promise<readonly RoutedPartition[]> {
    const all = routed.flatMap(({ items }) => items.flatMap((item) => (isCorrection(item) ? [item.router] : [])));
    if (all.length === 0) return routed;
    const { refusal = async ({ source }: SourceRoutes) => withoutTables(source) } = this.#options;
    const refusals = new Map<Router, OnefoldError | null>();
    for (const router of new Set(all)) refusals.set(router, await refusal(router.routes));
    return routed.map((one) => ({
      ...one,
      items: one.items.map((item) => {
        const error = isCorrection(item) ? (refusals.get(item.router) ?? null) : null;
        return error === null ? item : { ...item, routed: item.router.letter(item.record, one.partition, error) };
      }),
    }));
  }

  /** In the order of the claims; null where they are still waited for. */
  async #judged(claimed: readonly RoutedPartition[]): Promise<readonly Verdict[] | null> {
    const { verdicts, verdictsMs = VERDICTS_MS } = this.#options;
    const claims = claimsOf(claimed);
    const until = performance.now() + verdictsMs;
    for (let lookMs = 1; ; lookMs = Math.min(LOOK_MS_MAX, lookMs * 2)) {
      const found = await verdicts.of(claims);
      if (found !== null || performance.now() >= until) return found;
      await sleep(lookMs);
    }
  }

  /** Resolves with how many records there were, once what is due of them is appended. */
  async #append(routed: readonly RoutedPartition[], verdicts: readonly Verdict[], place: RoutePlace): Promise<number> {
    let append: NewRecord[] = [];
    let bytes = 0;
    let judged = 0;
    for (const { partition, at, items } of routed) {
      for (const item of items) {
        const hasClaim = !("code" in item.routed) && item.routed.claim !== null;
        const due = this.#due(item, partition, hasClaim ? verdicts[judged++]! : null, place, at);
        const dueBytes = due.reduce((sum, one) => sum + bytesOf(one), 0);
        if (append.length > 0 && bytes + dueBytes > APPEND_BYTES_MAX) {
          // One after the other: an event is appended only once all before it are.
          await this.#send(append, routed);
          append = [];
          bytes = 0;
        }
        append.push(...due);
        bytes += dueBytes;
      }
    }
    await this.#send(append, routed);
    for (const { at, end } of routed) at.advance(place, end);
    return countOf(routed);
  }

  /** Unless something at hand, these too, was forgotten since: then all is read anew. */
  async #send(records: readonly NewRecord[], routed: readonly RoutedPartition[] = []): Promise<void> {
    if (records.length === 0) return;
    const { connection, topics } = this.#options;
    if (await this.#noted.lookAgain()) {
      for (const { topic, partition, items } of [this.#claimed, this.#fetched, [routed]].flat(2)) {
        const origin = `${topics.get(topic)!.id}/${partition}`;
        for (const { router, record } of items) this.#noted.refuse(router.routes.source.name, origin, record.offset);
      }
    }
    await connection.send(records);
  }

  /** What is to be appended of a record: the event, to topics that it is due to; or a letter, once. */
  #due(
    { router, record, routed }: RoutedItem,
    partition: number,
    verdict: Verdict | null,
    place: RoutePlace,
    at: RoutePosition,
  ): readonly NewRecord[] {
    if (verdict?.kind === "duplicate") return [];
    const refused =
      "code" in routed
        ? routed
        : verdict?.kind === "too-far-ahead"
          ? router.refuse(record, partition, verdict.stamp as Micros)
          : null;
    if (refused !== null || "code" in routed) {
      if (place === "behind") return [];
      this.#deadLetters++;
      return [letterRecord(refused!, this.#options.clock)];
    }
    const { topics } = this.#options;
    const due = routed.records.filter(({ topic }) => at.isDue(topics.get(topic)!.id, place, record.offset));
    if (due.length > 0) this.#events++;
    // Of what is older than refusals are kept, ids are looked at where it is folded, each for its entity.
    const isOld = record.timestampMs < this.#options.clock.now() / 1000 - REFUSED_KEPT_MS / 2;
    if (verdict === null || (place === "behind" && isOld)) return due;
    return due.map((one) => ({ ...one, headers: new Map([...one.headers, [IDS_HEADER, "source"]]) }));
  }

  async #commit(): Promise<void> {
    const moved = Array.from(this.#positions, ([name, { at, ...partition }]): GroupPosition | null => {
      const { offset, note } = at.noted;
      if (note === this.#committed.get(name)) return null;
      this.#committed.set(name, note!);
      return { ...partition, offset, note };
    }).filter((one) => one !== null);
    await this.#options.seat.commit(moved);
  }

  async #settle(): Promise<void> {
    const { seat, connection } = this.#options;
    // A leader of other definitions may give out topics that this worker does not know.
    const known = this.#owned.filter(({ topic }) => this.#routers.has(topic));
    const owned = new Map(known.map((each) => [partitionName(each.topic, each.partition), each]));
    for (const name of this.#positions.keys()) {
      if (owned.has(name)) continue;
      this.#positions.delete(name);
      this.#committed.delete(name);
      this.#whole.forget(name);
      for (const place of ["live", "behind"]) this.#lags.delete(`${place} ${name}`);
    }
    // Whoever has the partition now claims and appends them anew.
    const isOurs = ({ topic, partition, at }: RoutedPartition): boolean =>
      this.#positions.get(partitionName(topic, partition))?.at === at;
    this.#claimed = this.#claimed.map((round) => round.filter(isOurs));
    this.#fetched = this.#fetched.map((round) => round.filter(isOurs));
    const fresh = [...owned].filter(([name]) => !this.#positions.has(name));
    if (fresh.length === 0) return;
    await this.#noted.look();
    const committed = await seat.committed(fresh.map(([, partition]) => partition));
    const starts = new Map<string, number[]>();
    for (const [i, [name, { topic, partition }]] of fresh.entries()) {
      if (!starts.has(topic)) starts.set(topic, await connection.offsets(topic, "start"));
      const start = starts.get(topic)![partition] ?? 0;
      const at = new RoutePosition(committed[i] ?? null, this.#targets.get(topic)!, start);
      this.#positions.set(name, { topic, partition, at });
    }
  }
}

function endOf({ topic, partition, records, nextOffset, endOffset }: FetchedPartition): FetchedEnd {
  const lastTaken = (records.at(-1)?.timestampMs ?? Number.NEGATIVE_INFINITY) * 1000;
  return { topic, partition, isAll: nextOffset >= endOffset, lastTaken };
}
