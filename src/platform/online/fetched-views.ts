/**
 * Views as a server past the owner's machine serves them: from states that it fetches, request by request, from an
 * online store such as Redis.
 *
 * Where a view's states are (`view/<view@version>`: the space, its epoch and position) is asked for ten times a second,
 * and always before the states that are read by it. A place says that at least so much is in the states, so what is
 * said of a vector's age is never too little. Each state brings the offset of its last event with it, and its space
 * its epoch, so a token names exactly what was read, whatever is written meanwhile. A space that was switched away
 * from stays for two minutes, and a server that has not heard of places for longer than half of one refuses to read.
 * A single server that was reconnected to is asked before anything is read: it may have been started again empty.
 *
 * All states of a request are fetched in one round trip; then each vector is read in one turn, as everywhere. Decoded
 * states are kept beside the bytes they came from, and taken again where the bytes are the same.
 */
import { type Clock, systemClock } from "../../base/clock.ts";
import { diagnostics } from "../../base/diagnostics.ts";
import { asOnefoldError, OnefoldError } from "../../base/errors.ts";
import { type Micros, MICROS_PER_SECOND } from "../../base/micros.ts";
import type { KafkaPlace } from "../../ingest/kafka/view-places.ts";
import { readStoredView, type StoredView, viewMetaName } from "../../ingest/stored-view.ts";
import type { OnlineStore, StateRead, StoreReading } from "../../online-store/online-store.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import type { FetchedStates, ServedView, StateAsk, StateSnapshot } from "../../serve/ports.ts";
import { builtMetaName, historyPlace } from "../view-builder.ts";
import type { CatalogView } from "../view-catalog.ts";
import { StaleViews } from "../monitoring/stale-views.ts";
import { DecodedStates } from "../workers/decoded-states.ts";
import type { FreshnessEars } from "./online-freshness.ts";
import {
  PLACE_AGE_MILLIS_MAX,
  type Published,
  PUBLISHED_META,
  type PublishedSource,
  readPublished,
} from "./published.ts";
import { TellerClock } from "./teller-clock.ts";
import { ToldFreshness } from "./told-freshness.ts";

/** How the names of workers' spaces end (`src/ingest/kafka/view-places.ts`). */
const KAFKA_SPACE = "#kafka";
/** An owner tells five times a second. */
const OWNER_LATENESS_MICROS = 3 * MICROS_PER_SECOND;
/** Workers twice: those who route, and behind them those who fold, each of what was there before they asked for records. */
const WORKERS_LATENESS_MICROS = 5 * MICROS_PER_SECOND;
const DECODED_BYTES_MAX = 64 * 1024 * 1024;

/** What is known of one view at one time. */
interface Place extends StoredView {
  /** All that was folded by then is in the states that are read now; null where nobody says. */
  readonly snapshotTime: Micros | null;
  /** Of workers' states: the topic that they are folded from. */
  readonly topic?: string;
  /** Workers have not folded yet what came before it. */
  readonly isBuilding: boolean;
}

class Fetched {
  readonly places = new Map<string, Place>();
  readonly states = new Map<string, Uint8Array | null>();
}

export class FetchedViews implements StateSnapshot, FreshnessEars {
  /** Views in whose place a fallback is served. */
  readonly stale: StaleViews = new StaleViews();
  readonly #store: OnlineStore;
  readonly #clock: Clock;
  readonly #told: ToldFreshness;
  readonly #decoded: DecodedStates;
  readonly #views = new WeakMap<CatalogView, ServedView>();
  readonly #compiled = new WeakMap<ServedView, CatalogView>();
  #metas: ReadonlyMap<string, Uint8Array | null> = new Map();
  #heardMs = Number.NEGATIVE_INFINITY;
  #heardViews: readonly CatalogView[] = [];
  /** Connections that were lost by then. */
  #heardLost: number | undefined;
  #published: Published | null = null;
  readonly #owner = new TellerClock();
  /** Of the vector that is read in this turn. */
  #fetched = new Fetched();

  constructor(store: OnlineStore, clock: Clock = systemClock, decodedBytesMax: number = DECODED_BYTES_MAX) {
    this.#store = store;
    this.#clock = clock;
    this.#told = new ToldFreshness(store, clock);
    this.#decoded = new DecodedStates(decodedBytesMax);
  }

  /** Asks the store where the views' states are. Throws as the store does; then what was heard before stands. */
  async hear(views: readonly CatalogView[]): Promise<void> {
    const names = views.flatMap(({ name }) => [viewMetaName(name), builtMetaName(name)]);
    const beganMs = performance.now();
    const { connectionsLost } = this.#store;
    const { metas } = await this.#store.read([], [PUBLISHED_META, ...names]);
    this.#published = metas[0] === null || metas[0] === undefined ? null : readPublished(metas[0]);
    this.#owner.heard(this.#published?.at, this.#clock.now());
    this.#metas = new Map(names.map((name, i) => [name, metas[i + 1]!]));
    this.#heardMs = beganMs;
    this.#heardLost = connectionsLost;
    this.#heardViews = views;
  }

  /** Asks the store how far workers have come, of views that were heard of. Throws as the store does. */
  async hearWorkers(): Promise<void> {
    const topics = this.#heardViews.flatMap((view) => {
      const { topic } = this.#place(view) ?? {};
      return topic === undefined ? [] : [topic, ...routedTopic(view)];
    });
    await this.#told.hear(new Set(topics));
  }

  wholeUntil(compiled: CatalogView): number | null {
    const place = this.#place(compiled);
    if (place === null || place.snapshotTime === null) return null;
    const { topic, space } = place;
    const ends: (number | null)[] = isOfWorkers(place)
      ? [
          topic === undefined ? null : this.#told.knownUntil(topic, foldNameOf(space)),
          ...routedTopic(compiled).map((from) => this.#told.until(from)),
        ]
      : [place.snapshotTime, this.#foldedUntil(compiled)];
    return ends.includes(null) ? null : Math.min(...(ends as number[]));
  }

  lateness(compiled: CatalogView): number {
    const place = this.#place(compiled);
    return place !== null && isOfWorkers(place) ? WORKERS_LATENESS_MICROS : OWNER_LATENESS_MICROS;
  }

  lastEventAt(compiled: CatalogView): number | null | undefined {
    const place = this.#place(compiled);
    if (place === null) return undefined;
    if (isOfWorkers(place)) return place.topic === undefined ? undefined : this.#told.lastEventAt(place.topic);
    const at = this.#publishedSource(compiled)?.lastEventAt;
    return at === undefined || at === null ? at : at + this.#owner.shift;
  }

  /** Of what an owner publishes: up to when it had folded all that it had, as it last said. */
  #foldedUntil(compiled: CatalogView): number | null {
    const told = this.#publishedSource(compiled);
    return told === undefined ? null : (told.oldestUnfoldedAt ?? this.#published!.at) + this.#owner.shift;
  }

  #publishedSource({ source }: CatalogView): PublishedSource | undefined {
    return this.#published?.sources?.find(({ name }) => name === source.name);
  }

  /** Throws `NOT_READY` where the view's states are not there yet, and `STORE_UNAVAILABLE` where that is not known. */
  view(compiled: CatalogView): ServedView {
    const view = this.#views.get(compiled) ?? this.#open(compiled);
    this.#views.set(compiled, view);
    this.#requirePlace(compiled);
    return view;
  }

  isStored(compiled: CatalogView): boolean {
    return this.#place(compiled) !== null;
  }

  /** Whether it is stored so far as to be served later. */
  isBuilding(compiled: CatalogView): boolean {
    return this.#place(compiled)?.isBuilding === true;
  }

  /** The states that vectors read, each once. Throws as `view`, and as the store does. */
  async fetch(asks: readonly StateAsk[]): Promise<FetchedStates> {
    for (let tries = 0; tries < 3; tries++) {
      if (!this.#isSameSince(this.#heardLost)) await this.#hearAgain(asks.length);
      // The states go with places of this time, whatever is heard meanwhile.
      const heardLost = this.#heardLost;
      const fetched = await this.#fetch(asks);
      if (this.#isSameSince(heardLost)) return fetched;
    }
    throw new OnefoldError("STORE_UNAVAILABLE", "connections to the online store are lost again and again", {
      hint: "see whether it runs; it is asked again all the time",
    });
  }

  /** In a cluster a node that is away is no reason to refuse what the others have. */
  #isSameSince(connectionsLost: number | undefined): boolean {
    return (this.#store.servers ?? null) !== null || this.#store.connectionsLost === connectionsLost;
  }

  async #fetch(asks: readonly StateAsk[]): Promise<Fetched> {
    const fetched = new Fetched();
    const reads: StateRead[] = [];
    const names: string[] = [];
    for (const { view, key } of asks) {
      const compiled = this.#compiled.get(view)!;
      let place = fetched.places.get(compiled.name);
      if (place === undefined) fetched.places.set(compiled.name, (place = this.#requirePlace(compiled)));
      const name = stateName(place, key);
      if (fetched.states.has(name)) continue;
      fetched.states.set(name, null);
      reads.push({ space: place.space, key });
      names.push(name);
    }
    const states = await this.#read(reads);
    for (const [i, state] of states.entries()) fetched.states.set(names[i]!, state?.bytes ?? null);
    return fetched;
  }

  async #read(reads: readonly StateRead[]): Promise<StoreReading["states"]> {
    const beganMs = performance.now();
    try {
      const { states } = await this.#store.read(reads);
      tellFetched(reads.length, beganMs);
      return states;
    } catch (error) {
      tellFetched(reads.length, beganMs, error);
      throw error;
    }
  }

  /** Before so many states are fetched. */
  async #hearAgain(states: number): Promise<void> {
    const beganMs = performance.now();
    try {
      await this.hear(this.#heardViews);
    } catch (error) {
      tellFetched(states, beganMs, error);
      throw error;
    }
  }

  renew(fetched?: FetchedStates): void {
    if (!(fetched instanceof Fetched))
      throw new OnefoldError("INTERNAL", "a vector is read whose states were not fetched");
    this.#fetched = fetched;
  }

  #open(compiled: CatalogView): ServedView {
    const { definition, entity, source, fold, name } = compiled;
    const decoded = this.#decoded;
    const place = (): Place => {
      const known = this.#fetched.places.get(name);
      if (known === undefined) throw new OnefoldError("INTERNAL", `no state of view ${name} was fetched`);
      return known;
    };
    const stateOf = (key: EntityKey): Uint8Array | null => {
      const bytes = this.#fetched.states.get(stateName(place(), key));
      if (bytes === undefined) throw new OnefoldError("INTERNAL", `a state of view ${name} was not fetched`);
      return bytes;
    };
    const view: ServedView = {
      definition,
      entity,
      source,
      fold,
      fallback: this.stale.of(name),
      get epoch() {
        return place().epoch;
      },
      get snapshotTime() {
        return place().snapshotTime;
      },
      state: (key) => {
        const bytes = stateOf(key);
        return bytes === null ? null : decoded.decode(stateName(place(), key), fold, bytes);
      },
    };
    this.#compiled.set(view, compiled);
    return view;
  }

  #requirePlace(compiled: CatalogView): Place {
    if (performance.now() - this.#heardMs > PLACE_AGE_MILLIS_MAX) {
      throw new OnefoldError("STORE_UNAVAILABLE", "the online store has not said for too long where states are", {
        where: compiled.name,
        hint: "see whether it runs; it is asked again all the time",
      });
    }
    const place = this.#place(compiled);
    if (place?.isBuilding === true) {
      throw new OnefoldError("NOT_READY", `view ${compiled.name} is being built`, {
        where: compiled.name,
        hint: "workers fold what came before it; it is served once GET /ready does not list it any more",
      });
    }
    if (place !== null) return place;
    throw new OnefoldError("NOT_READY", `view ${compiled.name} is not in the online store`, {
      where: compiled.name,
      hint: whoFolds(compiled),
    });
  }

  /** Where the view's states are, or null where there are none of the view as it is compiled. */
  #place(compiled: CatalogView): Place | null {
    const { name, definition, fingerprint } = compiled;
    const heard = { getMeta: (meta: string) => this.#metas.get(meta) ?? null };
    const stored: (StoredView & Omit<KafkaPlace, keyof StoredView>) | null = readStoredView(heard, name);
    // What stands under a draft's name may be of what the draft was before, or will be.
    const folded = stored?.fingerprint ?? historyPlace(heard, compiled)?.fingerprint;
    if (definition.version === "dev" && folded !== fingerprint) return null;
    if (stored === null) return null;
    return { ...stored, snapshotTime: this.#snapshotTime(stored, name), isBuilding: stored.building === true };
  }

  #snapshotTime(stored: StoredView & Pick<KafkaPlace, "topic">, view: string): Micros | null {
    const { flushedAt = 0 as Micros, position, space, topic } = stored;
    if (isOfWorkers(stored)) {
      return topic === undefined ? null : (this.#told.until(topic, foldNameOf(space)) as Micros | null);
    }
    const published = this.#published;
    const flushed = published?.flushed.find(([name]) => name === view);
    const isAll = published !== null && flushed !== undefined && position >= flushed[1];
    return (Math.max(flushedAt, isAll ? published.at : flushedAt) + this.#owner.shift) as Micros;
  }
}

function tellFetched(states: number, beganMs: number, error: unknown = null): void {
  if (!diagnostics.fetched.hasSubscribers) return;
  const code = error === null ? null : asOnefoldError(error).code;
  diagnostics.fetched.publish({ states, durationMs: performance.now() - beganMs, code });
}

export function isKafkaDraft({ definition, source }: CatalogView): boolean {
  return definition.version === "dev" && isOnKafka(source);
}

function isOnKafka(source: CatalogView["source"]): boolean {
  return source.kind === "stream" && source.kafka !== undefined;
}

function isOfWorkers({ space }: StoredView): boolean {
  return space.endsWith(KAFKA_SPACE);
}

/** The name that workers fold a space under. */
function foldNameOf(space: string): string {
  return space.slice(0, -KAFKA_SPACE.length);
}

/** The topic of its source, where its events are routed from there. */
function routedTopic({ source }: CatalogView): string[] {
  if (source.kind !== "stream" || source.kafka === undefined || source.kafka.direct === true) return [];
  return [source.kafka.topic];
}

function whoFolds(compiled: CatalogView): string {
  if (isKafkaDraft(compiled))
    return "a draft is folded by workers that have it as it is registered: onefold worker --drafts";
  const who = isOnKafka(compiled.source) ? "onefold worker" : "onefold serve --publish";
  return `the process that folds it writes it there (${who}); try again when GET /ready says so`;
}

function stateName({ space }: StoredView, key: EntityKey): string {
  return `${space}\0${key}`;
}
