/**
 * Where views' states are in an online store past this machine, as it was last heard, and how far they have come.
 *
 * Where a view's states are (`view/<view@version>`: the space, its epoch and position) is asked for ten times a second,
 * and always before the states that are read by it. A place says that at least so much is in the states, so what is
 * said of a vector's age is never too little. What was heard is put together once, and not for each request.
 */
import type { Clock } from "../../base/clock.ts";
import { OnefoldError } from "../../base/errors.ts";
import { type Micros, MICROS_PER_SECOND } from "../../base/micros.ts";
import type { KafkaPlace } from "../../ingest/kafka/view-places.ts";
import { readStoredView, type StoredView, viewMetaName } from "../../ingest/stored-view.ts";
import type { RemoteOnlineStore } from "../../online-store/online-store.ts";
import { builtMetaName, historyPlace } from "../view-builder.ts";
import type { CatalogView } from "../view-catalog.ts";
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

/** What is known of one view at one time. */
export interface Place extends StoredView {
  /** All that was folded by then is in the states that are read now; null where nobody says. */
  readonly snapshotTime: Micros | null;
  /** Of workers' states: the topic that they are folded from. */
  readonly topic?: string;
  /** Workers have not folded yet what came before it. */
  readonly isBuilding: boolean;
}

export class HeardPlaces implements FreshnessEars {
  readonly #store: Pick<RemoteOnlineStore, "read" | "way">;
  readonly #clock: Clock;
  readonly #told: ToldFreshness;
  #metas: ReadonlyMap<string, Uint8Array | null> = new Map();
  #hearing = 0;
  #heardMs = Number.NEGATIVE_INFINITY;
  #heardViews: readonly CatalogView[] = [];
  /** Which way the store was read then. */
  #heardWay: number | undefined;
  #published: Published | null = null;
  readonly #owner = new TellerClock();
  /** Of what was heard last, as far as somebody asked. */
  #places = new Map<CatalogView, Place | null>();
  readonly #onMoved: () => void;

  /** `onMoved` is told when the states of a view that was asked for are found elsewhere, or not any more. */
  constructor(store: Pick<RemoteOnlineStore, "read" | "way">, clock: Clock, onMoved: () => void = () => {}) {
    this.#store = store;
    this.#clock = clock;
    this.#told = new ToldFreshness(store, clock);
    this.#onMoved = onMoved;
  }

  /** Which time they were heard. */
  get hearing(): number {
    return this.#hearing;
  }

  /** Which way the store was read when places were last heard; undefined before. */
  get heardWay(): number | undefined {
    return this.#heardWay;
  }

  /** Asks the store where the views' states are, those heard of before if none are given. Throws as the store does; then what was heard before stands. */
  async hear(views: readonly CatalogView[] = this.#heardViews): Promise<void> {
    const names = views.flatMap(({ name }) => [viewMetaName(name), builtMetaName(name)]);
    const beganMs = performance.now();
    const { way } = this.#store;
    const { metas } = await this.#store.read([], [PUBLISHED_META, ...names]);
    this.#published = metas[0] === null || metas[0] === undefined ? null : readPublished(metas[0]);
    this.#owner.heard(this.#published?.at, this.#clock.now());
    this.#metas = new Map(names.map((name, i) => [name, metas[i + 1]!]));
    this.#heardMs = beganMs;
    this.#heardWay = way;
    this.#heardViews = views;
    this.#hearing++;
    const before = this.#places;
    this.#places = new Map();
    const present = new Set(views);
    for (const [view, place] of before) if (present.has(view) && isElsewhere(place, this.of(view))) this.#onMoved();
  }

  /** Asks the store how far workers have come, of views that were heard of. Throws as the store does. */
  async hearWorkers(): Promise<void> {
    const topics = this.#heardViews.flatMap((view) => {
      const { topic } = this.of(view) ?? {};
      return topic === undefined ? [] : [topic, ...routedTopic(view)];
    });
    await this.#told.hear(new Set(topics));
    const before = this.#places;
    this.#places = new Map();
    // Those that were asked for stay among those that a hearing looks at.
    for (const view of before.keys()) this.of(view);
  }

  wholeUntil(compiled: CatalogView): number | null {
    const place = this.of(compiled);
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
    const place = this.of(compiled);
    return place !== null && isOfWorkers(place) ? WORKERS_LATENESS_MICROS : OWNER_LATENESS_MICROS;
  }

  lastEventAt(compiled: CatalogView): number | null | undefined {
    const place = this.of(compiled);
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
  require(compiled: CatalogView): Place {
    if (performance.now() - this.#heardMs > PLACE_AGE_MILLIS_MAX) {
      throw new OnefoldError("STORE_UNAVAILABLE", "the online store has not said for too long where states are", {
        where: compiled.name,
        hint: "see whether it runs; it is asked again all the time",
      });
    }
    const place = this.of(compiled);
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
  of(compiled: CatalogView): Place | null {
    let place = this.#places.get(compiled);
    if (place === undefined) this.#places.set(compiled, (place = this.#place(compiled)));
    return place;
  }

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

function isElsewhere(before: Place | null, now: Place | null): boolean {
  return before?.space !== now?.space || before?.epoch !== now?.epoch || before?.isBuilding !== now?.isBuilding;
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
