/**
 * What a fold loop tells of its partitions: up to when each is taken in, and its views that are behind (`whole-until.ts`).
 * And what it hears before, of topics that are routed to: up to when their source's topic is routed.
 */
import type { Clock } from "../../base/clock.ts";
import type { OnlineStore } from "../../online-store/online-store.ts";
import type { FoldedPartition } from "./folded-partition.ts";
import type { FetchedPartition, TopicFacts, TopicPartition } from "./records.ts";
import type { SourceRoutes } from "./routes.ts";
import { finite, readUntil, WholeUntil } from "./whole-until.ts";

export interface WholeNotesOptions {
  readonly store: OnlineStore;
  readonly clock: Clock;
  /** Of events. */
  readonly plans: readonly SourceRoutes[];
  readonly topics: ReadonlyMap<string, TopicFacts>;
}

/** By the name of the partition. */
type Folds = ReadonlyMap<string, FoldedPartition>;

export class WholeNotes {
  readonly #options: WholeNotesOptions;
  readonly #whole: WholeUntil;
  /** Source's topics by the topics that they are routed to. */
  readonly #routedFrom = new Map<string, string>();

  constructor(options: WholeNotesOptions) {
    this.#options = options;
    this.#whole = new WholeUntil(options.clock);
    for (const { routes, topic: from } of options.plans) {
      for (const { topic, isDirect } of routes) if (!isDirect) this.#routedFrom.set(topic, from);
    }
  }

  /** Whether it is time to tell again. */
  get isDue(): boolean {
    return this.#whole.isDue;
  }

  /** Whether of one of these topics is not known yet how far it is routed. */
  lacksRouting(partitions: readonly TopicPartition[]): boolean {
    return partitions.some(({ topic }) => this.#routedFrom.has(topic) && !this.#whole.hasHeardRouting(topic));
  }

  /** Of what is asked for from now on. */
  async hearRouting(folds: Folds): Promise<void> {
    const { store, topics } = this.#options;
    const folded = new Set(Array.from(folds.values(), ({ options: { route } }) => route.topic));
    const untils = new Map<string, number | null>();
    for (const topic of folded) {
      const from = this.#routedFrom.get(topic);
      if (from === undefined) continue;
      if (!untils.has(from)) untils.set(from, await readUntil(store, from, topics.get(from)?.partitionCount ?? 1));
      this.#whole.heardRouting(topic, untils.get(from)!);
    }
  }

  /** What was asked for of the partition at `askedAt` is stored by now. */
  took(fold: FoldedPartition, fetched: FetchedPartition, askedAt: number): void {
    const lastTaken = fold.position.knownTime ?? Number.NEGATIVE_INFINITY;
    this.#whole.took(fetched, askedAt, fetched.nextOffset >= fetched.endOffset, lastTaken);
  }

  /** `late`: of these folds, views that are behind the others. Throws as the store does. */
  async tell(folds: Folds, late: Folds): Promise<void> {
    const notes = Array.from(folds, ([name, fold]) => this.#noteOf(fold, late.get(name)));
    await this.#whole.tell(this.#options.store, notes);
    await this.hearRouting(folds);
  }

  #noteOf({ options: { route, partition }, position }: FoldedPartition, late: FoldedPartition | undefined) {
    const lateUntil = finite(late?.position.knownTime ?? Number.NEGATIVE_INFINITY);
    const lateViews = (late?.options.route.views ?? []).map(({ foldName }) => [foldName, lateUntil] as const);
    const note = {
      partitions: this.#options.topics.get(route.topic)!.partitionCount,
      lastEventAt: position.knownTime,
      ...(this.#routedFrom.has(route.topic) ? { known: this.#whole.knownOf({ topic: route.topic, partition }) } : {}),
      ...(lateViews.length === 0 ? {} : { late: Object.fromEntries(lateViews) }),
    };
    return { topic: route.topic, partition, note };
  }

  /** It is another's now. */
  forget(name: string): void {
    this.#whole.forget(name);
  }

  drop(): void {
    this.#whole.drop();
  }
}
