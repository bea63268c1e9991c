/**
 * What was used and what it cost, day by day: plain data of a file a day. What counters say that only ever grow while their
 * process lives is turned into what each day adds.
 */
import { MICROS_PER_DAY } from "../../base/micros.ts";
import type { FeatureReads, ServiceReads } from "./usage-tally.ts";

/** Of a view, in one day or since the process began. */
export interface ViewCost {
  /** `view@version`. */
  readonly view: string;
  /** Folding its events, and encoding its states. */
  readonly cpuSeconds: number;
  readonly eventsFolded: number;
  /** Of states, to the online store. */
  readonly bytesWritten: number;
}

export interface UsageDay {
  /** 2026-11-26, UTC. */
  readonly day: string;
  readonly reads: readonly FeatureReads[];
  readonly views: readonly ViewCost[];
  /** Absent of days from before it was kept. */
  readonly services?: readonly ServiceReads[];
}

export function dayOf(micros: number): string {
  return new Date(micros / 1000).toISOString().slice(0, 10);
}

/** The first day of the last `days`, today among them. */
export function firstDayOf(days: number, nowMicros: number): string {
  return dayOf(nowMicros - (days - 1) * MICROS_PER_DAY);
}

type Counted = Pick<UsageDay, "reads" | "views" | "services">;

export class DayCount {
  readonly #reads = new Map<string, { reads: number } & FeatureReads>();
  readonly #views = new Map<string, ViewCost>();
  readonly #services = new Map<string, ServiceReads>();
  #before: Counted = { reads: [], views: [] };

  /** Goes on from what is stored of the day. */
  constructor(stored: Counted = { reads: [], views: [] }) {
    this.#add(stored);
  }

  /** Takes in what counters say now: what they have gained since they were taken in last, or all where they began anew. */
  take(counted: Counted): void {
    const before = {
      reads: byId(this.#before.reads, readId),
      views: byId(this.#before.views, ({ view }) => view),
      services: byId(this.#before.services ?? [], serviceReadId),
    };
    this.#before = counted;
    this.#add({
      reads: counted.reads.map((one) => ({ ...one, reads: gained(one.reads, before.reads.get(readId(one))?.reads) })),
      views: counted.views.map((one) => {
        const last = before.views.get(one.view);
        return {
          view: one.view,
          cpuSeconds: gained(one.cpuSeconds, last?.cpuSeconds),
          eventsFolded: gained(one.eventsFolded, last?.eventsFolded),
          bytesWritten: gained(one.bytesWritten, last?.bytesWritten),
        };
      }),
      services: (counted.services ?? []).map((one) => ({
        ...one,
        vectors: gained(one.vectors, before.services.get(serviceReadId(one))?.vectors),
      })),
    });
  }

  /** Another day: what was counted so far is of the one before. Goes on from what is stored of it. */
  begin(stored: Counted = { reads: [], views: [] }): void {
    this.#reads.clear();
    this.#views.clear();
    this.#services.clear();
    this.#add(stored);
  }

  of(day: string): UsageDay {
    const services = [...this.#services.values()];
    const counted = { day, reads: [...this.#reads.values()], views: [...this.#views.values()] };
    return services.length === 0 ? counted : { ...counted, services };
  }

  #add({ reads, views, services = [] }: Counted): void {
    for (const one of services) {
      if (one.vectors === 0) continue;
      const present = this.#services.get(serviceReadId(one))?.vectors ?? 0;
      this.#services.set(serviceReadId(one), { ...one, vectors: present + one.vectors });
    }
    for (const one of reads) {
      if (one.reads === 0) continue;
      const present = this.#reads.get(readId(one))?.reads ?? 0;
      this.#reads.set(readId(one), { ...one, reads: present + one.reads });
    }
    for (const one of views) {
      if (one.cpuSeconds === 0 && one.eventsFolded === 0 && one.bytesWritten === 0) continue;
      this.#views.set(one.view, sumOf(this.#views.get(one.view), one));
    }
  }
}

function sumOf(a: ViewCost | undefined, b: ViewCost): ViewCost {
  if (a === undefined) return b;
  return {
    view: b.view,
    cpuSeconds: a.cpuSeconds + b.cpuSeconds,
    eventsFolded: a.eventsFolded + b.eventsFolded,
    bytesWritten: a.bytesWritten + b.bytesWritten,
  };
}

function gained(now: number, before = 0): number {
  return now >= before ? now - before : now;
}

function readId({ view, feature, consumer }: FeatureReads): string {
  return JSON.stringify([view, feature, consumer]);
}

function serviceReadId({ service, consumer }: ServiceReads): string {
  return JSON.stringify([service, consumer]);
}

function byId<T>(items: readonly T[], id: (item: T) => string): Map<string, T> {
  return new Map(items.map((item) => [id(item), item]));
}

/** Of a feature, over some days. */
export interface FeatureUsage {
  readonly reads: number;
  /** The last day of those on which it was read; null where it was on none. */
  readonly lastReadOn: string | null;
  /** Reads by consumer, the largest first; empty names are of those without one. */
  readonly consumers: readonly { readonly consumer: string; readonly reads: number }[];
}

export interface UsageSums {
  feature(view: string, feature: string): FeatureUsage;
  view(view: string): ViewCost;
}

export function sumDays(days: readonly UsageDay[]): UsageSums {
  const features = new Map<string, { lastReadOn: string; consumers: Map<string, number> }>();
  const views = new Map<string, ViewCost>();
  for (const { day, reads, views: costs } of days.toSorted((a, b) => (a.day < b.day ? -1 : 1))) {
    for (const { view, feature, consumer, reads: count } of reads) {
      const id = `${view}:${feature}`;
      const { consumers } = features.get(id) ?? { consumers: new Map<string, number>() };
      consumers.set(consumer, (consumers.get(consumer) ?? 0) + count);
      features.set(id, { lastReadOn: day, consumers });
    }
    for (const cost of costs) views.set(cost.view, sumOf(views.get(cost.view), cost));
  }
  return {
    feature: (view, feature) => {
      const used = features.get(`${view}:${feature}`);
      const consumers = Array.from(used?.consumers ?? [], ([consumer, reads]) => ({ consumer, reads }));
      consumers.sort((a, b) => b.reads - a.reads || (a.consumer < b.consumer ? -1 : 1));
      const reads = consumers.reduce((sum, one) => sum + one.reads, 0);
      return { reads, lastReadOn: used?.lastReadOn ?? null, consumers };
    },
    view: (view) => views.get(view) ?? { view, cpuSeconds: 0, eventsFolded: 0, bytesWritten: 0 },
  };
}
