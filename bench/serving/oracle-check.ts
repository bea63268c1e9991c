/**
 * Replies held against the naive oracle.
 *
 * A plain reply does not say at which moment it was read, nor after which event. But it was read between being
 * asked for and being heard, and had to see every event acknowledged before the one, and none sent after the
 * other. So there are few readings that it may be: for each number of events that it may have seen, one at the
 * beginning and one at each moment in between at which an event leaves a window. The reply is right if it equals
 * one of them in all values.
 *
 * A reading is the oracle's, over the window that the fold says it covers (DESIGN: "exact, or says where the
 * window truly starts"), after replaying the events through the fold; and that window must start where it may.
 */
import type { Micros } from "../../src/base/micros.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { createReadBuffer, type FoldEvent } from "../../src/fold/view-fold.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { type QueryEngine, sqlName, sqlText } from "../../src/offline-store/engine.ts";
import { HISTORY_BASE } from "../../src/schema/event-offset.ts";
import type { Row, Value } from "../../src/schema/value.ts";
import { NaiveOracle } from "../../src/testing/naive-oracle.ts";
import type { World } from "./world.ts";

/** How far the clocks of two processes may be apart. */
const CLOCKS_MICROS = 5000;
const ENTITIES_PER_QUERY = 2000;
const WRONG_SHOWN = 3;

export interface SeenReply {
  /** The entity's key column. */
  readonly key: string | number;
  readonly service: string;
  /** In the service's order. */
  readonly values: readonly Value[];
  readonly askedAt: Micros;
  readonly heardAt: Micros;
  /**
   * Of states that are copied: of events that were acknowledged so shortly before it was asked for it need not have seen any, and
   * each of its views may have seen others (docs/http.md).
   */
  readonly lateMicros?: number;
}

/** An event that was pushed while replies were seen. */
export interface LiveEvent {
  readonly offset: number;
  readonly row: Row;
  readonly sentAt: Micros;
  readonly acknowledgedAt: Micros;
}

export interface Checked {
  readonly replies: number;
  readonly wrong: number;
}

/** Says on stderr what is wrong with the first replies that are. `live` in the order of offsets. */
export async function checkReplies(
  world: World,
  replies: readonly SeenReply[],
  live: readonly LiveEvent[],
): Promise<Checked> {
  const column = world.source.columns.findIndex(({ name }) => name === world.entity.keys[0]!.name);
  const liveOf = grouped(live, ({ row }) => row[column] as string | number);
  const repliesOf = grouped(replies, ({ key }) => key);
  const keys = [...repliesOf.keys()].sort((a, b) => (a < b ? -1 : 1));
  const engine = await openDuckDb({});
  let wrong = 0;
  try {
    for (let first = 0; first < keys.length; first += ENTITIES_PER_QUERY) {
      const some = keys.slice(first, first + ENTITIES_PER_QUERY);
      const historyOf = await readHistory(engine, world, some);
      for (const key of some) {
        const readings = new Readings(world, historyOf.get(key) ?? [], liveOf.get(key) ?? []);
        for (const reply of repliesOf.get(key)!) {
          const problem = readings.problemOf(reply);
          if (problem === null) continue;
          if (++wrong <= WRONG_SHOWN) console.error(`${world.name}: ${reply.service} of ${key}: ${problem}`);
        }
      }
    }
  } finally {
    await engine.close();
  }
  return { replies: replies.length, wrong };
}

/** Events by key, in the order of their offsets: by known time (which is event time here), then row. */
async function readHistory(
  engine: QueryEngine,
  { entity, source, historyFile }: World,
  keys: readonly (string | number)[],
): Promise<Map<string | number, FoldEvent[]>> {
  const key = entity.keys[0]!.name;
  const list = keys.map((one) => (typeof one === "string" ? sqlText(one) : String(one))).join(", ");
  const rows = await engine.rows(
    `SELECT ${source.columns.map(({ name }) => sqlName(name)).join(", ")}
     FROM read_parquet(${sqlText(historyFile)}, file_row_number = true)
     WHERE ${sqlName(key)} IN (${list}) ORDER BY ${sqlName(source.eventTime)}, file_row_number`,
  );
  const events = rows.map((row, i): FoldEvent => {
    const time = row[source.eventTime] as Micros;
    return {
      offset: HISTORY_BASE + i,
      eventTime: time,
      knownTime: time,
      row: source.columns.map(({ name }) => row[name]!),
    };
  });
  const column = source.columns.findIndex(({ name }) => name === key);
  return grouped(events, ({ row }) => row[column] as string | number);
}

/** A reply's values, and the views that are looked at. */
interface ReadValues {
  readonly features: World["services"][number]["features"];
  readonly values: readonly Value[];
  readonly views: readonly string[];
}

/** How many live events it may have seen, and when it may have been read. */
interface MayBe {
  readonly seenAtLeast: number;
  readonly seenAtMost: number;
  readonly from: Micros;
  readonly to: Micros;
}

/** What one entity's replies may be. */
class Readings {
  readonly #world: World;
  readonly #history: readonly FoldEvent[];
  readonly #live: readonly LiveEvent[];
  readonly #replayed = new Map<number, ReplayedView[]>();

  constructor(world: World, history: readonly FoldEvent[], live: readonly LiveEvent[]) {
    this.#world = world;
    this.#history = history;
    this.#live = live;
  }

  /** Null where the reply is one of the readings that it may be. */
  problemOf({ service, values, askedAt, heardAt, lateMicros }: SeenReply): string | null {
    const from = (askedAt - CLOCKS_MICROS) as Micros;
    const to = (heardAt + CLOCKS_MICROS) as Micros;
    const seenAtLeast = this.#live.findLastIndex((event) => event.acknowledgedAt <= from - (lateMicros ?? 0)) + 1;
    const seenAtMost = this.#live.findLastIndex((event) => event.sentAt <= to) + 1;
    const { features } = this.#world.services.find(({ name }) => name === service)!;
    if (values.length !== features.length) return `${values.length} values, not ${features.length}`;
    // Views that may be of different moments are held against the oracle each by itself.
    const apart = [...new Set(features.map(({ view }) => view))].map((view) => [view]);
    const parts = lateMicros === undefined ? [apart.flat()] : apart;
    const problems = parts.map((views) =>
      this.#problemIn({ features, values, views }, { seenAtLeast, seenAtMost, from, to }),
    );
    const problem = problems.find((one) => one !== null) ?? null;
    if (problem === null) return null;
    const last = this.#live[seenAtLeast - 1];
    const ago =
      last === undefined ? "" : `, asked ${(askedAt - last.acknowledgedAt) / 1000} ms behind the last it had to see`;
    return `${problem}; heard ${(heardAt - askedAt) / 1000} ms after it was asked${ago}`;
  }

  /** Of those of its values that are of some views. */
  #problemIn(read: ReadValues, { seenAtLeast, seenAtMost, from, to }: MayBe): string | null {
    let problem = "there is no reading that it may be";
    for (let seen = seenAtLeast; seen <= seenAtMost; seen++) {
      // What it saw last was known when it was read: an answer that took seconds was read behind that.
      const lastSentAt = this.#live[seen - 1]?.sentAt ?? from;
      for (const asOf of this.#moments(lastSentAt > from ? lastSentAt : from, to)) {
        const found = this.#compare(read, seen, asOf);
        if (found === null) return null;
        problem = found;
      }
    }
    return problem;
  }

  /** `from`, and when an event leaves a window by `to`. */
  #moments(from: Micros, to: Micros): Micros[] {
    const windows = new Set(
      this.#world.views.flatMap(({ features }) =>
        features.flatMap(({ aggregation: { over } }) => (over?.kind === "time" ? [over.micros] : [])),
      ),
    );
    const { source } = this.#world;
    const timeColumn = source.columns.findIndex(({ name }) => name === source.eventTime);
    const times = [...this.#history.map(({ eventTime }) => eventTime), ...this.#live.map(({ row }) => row[timeColumn])];
    const leaving = times.flatMap((time) => [...windows].map((window) => (time as number) + window));
    return [from, ...leaving.filter((moment) => moment > from && moment <= to)] as Micros[];
  }

  #compare({ features, values, views: wanted }: ReadValues, seen: number, asOf: Micros): string | null {
    const views = this.#after(seen);
    for (const view of views) view.readAt(asOf);
    for (const [i, { view, feature, as }] of features.entries()) {
      if (!wanted.includes(view)) continue;
      const { value, tolerance } = views.find(({ name }) => name === view)!.expected(feature);
      const actual = values[i]!;
      const isRight =
        typeof value === "number" && typeof actual === "number"
          ? Math.abs(value - actual) <= tolerance
          : value === actual;
      if (!isRight) return `${as} is ${String(actual)}, not ${String(value)}, after ${seen} pushed events at ${asOf}`;
    }
    return null;
  }

  /** All views after history and the first `seen` live events. */
  #after(seen: number): readonly ReplayedView[] {
    let views = this.#replayed.get(seen);
    if (views === undefined) {
      const { source } = this.#world;
      const timeColumn = source.columns.findIndex(({ name }) => name === source.eventTime);
      const live = this.#live.slice(0, seen).map(({ offset, row }): FoldEvent => {
        // Known later than it happened; how much later matters to no value.
        const time = row[timeColumn] as Micros;
        return { offset, eventTime: time, knownTime: time, row };
      });
      views = this.#world.views.map((view) => new ReplayedView(this.#world, view, [...this.#history, ...live]));
      this.#replayed.set(seen, views);
    }
    return views;
  }
}

/** One view's fold and oracle after the same events. */
class ReplayedView {
  readonly name: string;
  readonly #view: World["views"][number];
  readonly #fold: ReturnType<typeof compileViewFold>;
  readonly #state: ReturnType<ReturnType<typeof compileViewFold>["empty"]>;
  readonly #oracle: NaiveOracle;
  readonly #buffer: ReturnType<typeof createReadBuffer>;
  #asOf: Micros = 0 as Micros;

  constructor({ source, entity }: World, view: World["views"][number], events: readonly FoldEvent[]) {
    this.name = view.name;
    this.#view = view;
    this.#fold = foldOf(view, source, entity);
    this.#state = this.#fold.empty();
    this.#oracle = new NaiveOracle(view, source);
    this.#buffer = createReadBuffer(view.features.length);
    for (const event of events) {
      this.#fold.fold(this.#state, event);
      this.#oracle.add(event);
    }
  }

  readAt(asOf: Micros): void {
    this.#asOf = asOf;
    this.#fold.read(this.#state, asOf, this.#buffer);
  }

  /** The oracle's answer. Throws where the window begins where it may not. */
  expected(feature: string): { readonly value: Value; readonly tolerance: number } {
    const i = this.#view.features.findIndex(({ name }) => name === feature);
    const { windowMicros, hopMicros } = this.#fold.features[i]!;
    if (windowMicros === null) return this.#oracle.read(i, this.#asOf);
    const windowStart = this.#buffer.windowStarts[i]!;
    const late = windowStart - (this.#asOf - windowMicros);
    if (late < 0 || late >= Math.max(hopMicros, 1)) {
      throw new Error(`the window of ${this.name}:${feature} starts ${late} us late, its hop is ${hopMicros} us`);
    }
    return this.#oracle.read(i, this.#asOf, windowStart);
  }
}

const folds = new Map<World["views"][number], ReturnType<typeof compileViewFold>>();

/** Compiled once: a fold holds no entity's state. */
function foldOf(
  view: World["views"][number],
  source: World["source"],
  entity: World["entity"],
): ReturnType<typeof compileViewFold> {
  let fold = folds.get(view);
  if (fold === undefined) folds.set(view, (fold = compileViewFold(view, source, entity)));
  return fold;
}

function grouped<T, K>(list: readonly T[], keyOf: (one: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const one of list) {
    const key = keyOf(one);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [one]);
    else group.push(one);
  }
  return groups;
}
