/**
 * When a view that has just come may be served: once it holds all that its topics held when somebody first looked.
 *
 *     source's topic, its end then ─▶ routed so far? ─▶ internal topic, its end then ─▶ folded so far? ─▶ its place says so
 *
 * Until then the place says that it is being built, and servers refuse it: its values are of a part of the past alone.
 * What is asked of stands in the group's positions and in those of the store, so any worker may look, and all that do
 * come to the same; a view that was built once stays so, however far workers fall behind later.
 *
 * A store that was started again may have nothing at all: then the places are told anew, of views that are to be built.
 */
import type { OnlineStore } from "../../online-store/online-store.ts";
import { viewMetaName } from "../stored-view.ts";
import type { KafkaConnection } from "./connection.ts";
import type { TopicFacts, TopicPartition } from "./records.ts";
import { decodePosition, positionMetaName } from "./position.ts";
import { type NotedOffset, RoutePosition } from "./route-position.ts";
import type { Route, RoutedView, SourceRoutes } from "./routes.ts";
import { decodePlace, encodePlace, spaceOf } from "./view-places.ts";

export interface CaughtUpOptions {
  readonly connection: Pick<KafkaConnection, "offsets">;
  readonly store: OnlineStore;
  readonly plans: readonly SourceRoutes[];
  /** Facts of sources' and internal topics. */
  readonly topics: ReadonlyMap<string, TopicFacts>;
  /** Of the group that routes. */
  committed(partitions: readonly TopicPartition[]): Promise<readonly (NotedOffset | null)[]>;
  /** Tells the places of views that have none. */
  tellPlaces(): Promise<void>;
}

interface Span {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

export class CaughtUpWatch {
  readonly #options: CaughtUpOptions;
  /** Of topics, as they were when they were first looked at. */
  readonly #spans = new Map<string, Span>();

  constructor(options: CaughtUpOptions) {
    this.#options = options;
  }

  /** Resolves with whether no view is being built. Throws as Kafka and the store do. */
  async look(): Promise<boolean> {
    const { plans, tellPlaces } = this.#options;
    if (await this.#isMissingPlaces()) {
      await tellPlaces();
      this.#spans.clear();
    }
    let areAllBuilt = true;
    for (const plan of plans) {
      for (const route of plan.routes) {
        const building = await this.#building(route);
        if (building.length === 0) continue;
        const built = (await this.#isRouted(plan, route)) ? await this.#folded(route, building) : [];
        await this.#tell(built);
        areAllBuilt &&= built.length === building.length;
      }
    }
    return areAllBuilt;
  }

  /** A draft may have been forgotten by another worker. */
  async #isMissingPlaces(): Promise<boolean> {
    const views = this.#options.plans.flatMap(({ routes }) => routes.flatMap((route) => route.views));
    const names = views.flatMap(({ name, definition: { version } }) => (version === "dev" ? [] : [viewMetaName(name)]));
    const { metas } = await this.#options.store.read([], names);
    return metas.includes(null);
  }

  async #building({ views }: Route): Promise<RoutedView[]> {
    const { metas } = await this.#options.store.read(
      [],
      views.map(({ name }) => viewMetaName(name)),
    );
    return views.filter((view, i) => {
      const place = decodePlace(metas[i] ?? null);
      return place?.space === spaceOf(view) && place.building === true;
    });
  }

  async #span(topic: string): Promise<Span> {
    const { connection } = this.#options;
    const known = this.#spans.get(topic);
    if (known !== undefined) return known;
    const ends = await connection.offsets(topic, "end");
    const span = { starts: await connection.offsets(topic, "start"), ends };
    this.#spans.set(topic, span);
    return span;
  }

  async #isRouted(plan: SourceRoutes, { topic, isDirect }: Route): Promise<boolean> {
    if (isDirect) return true;
    const { topics, committed } = this.#options;
    const { starts, ends } = await this.#span(plan.topic);
    const wanted = ends.flatMap((end, partition) => {
      return end > starts[partition]! ? [{ topic: plan.topic, partition }] : [];
    });
    if (wanted.length === 0) return true;
    const positions = await committed(wanted);
    return wanted.every(({ partition }, i) => {
      const at = new RoutePosition(positions[i] ?? null, [topics.get(topic)!.id], starts[partition]!);
      return at.live >= ends[partition]!;
    });
  }

  async #folded({ topic }: Route, views: readonly RoutedView[]): Promise<RoutedView[]> {
    // What was routed by then is in it.
    const { starts, ends } = await this.#span(topic);
    const { metas } = await this.#options.store.read(
      [],
      ends.map((_, partition) => positionMetaName(topic, partition)),
    );
    const positions = metas.map((bytes) => (bytes === null ? null : decodePosition(bytes)));
    return views.filter(({ foldName }) =>
      ends.every((end, partition) => {
        const position = positions[partition] ?? null;
        if (end <= starts[partition]! && position === null) return true;
        return position !== null && position.offset >= end && position.views[foldName] !== undefined;
      }),
    );
  }

  async #tell(built: readonly RoutedView[]): Promise<void> {
    const { store } = this.#options;
    const names = built.map(({ name }) => viewMetaName(name));
    const { metas } = await store.read([], names);
    const writes = built.flatMap((view, i) => {
      const place = decodePlace(metas[i] ?? null);
      if (place === null || place.space !== spaceOf(view)) return [];
      const { building: _, ...told } = place;
      return [{ name: names[i]!, bytes: encodePlace(told) }];
    });
    await store.commit([], writes);
  }
}
