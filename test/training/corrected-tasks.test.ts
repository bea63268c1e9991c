/** Events that are taken back, joined in one go and in tasks of some entities each: the same bits, wherever the batches are cut. */
import { describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { count, entity, lastK, stream, sum, t, view } from "../../src/index.ts";
import type { ReadEventBatch } from "../../src/offline-store/event-reader.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { cutEvents, JoinTask, type TaskLabels } from "../../src/training/join-task.ts";
import type { EventBound } from "../../src/training/point-in-time-join.ts";

const user = entity("user", { user: t.string() });
const source = stream("events", {
  columns: { user: t.string(), amount: t.float64(), at: t.timestamp() },
  eventTime: "at",
});
const definition = view("spending", {
  version: 1,
  entity: user,
  source,
  features: { n: count(), total: sum("amount").over("1m"), last: lastK("amount", 3) },
});
const fold = compileViewFold(definition, source, user);
const ENTITIES = 6;
const SECOND = 1_000_000;

interface Row {
  readonly entity: number;
  readonly offset: number;
  readonly amount: number | null;
  readonly retractedAt: number;
}

/** Offsets rise over all entities; a mark takes back one event or several. */
function randomRows(random: SeededRandom): Row[] {
  const rows: { entity: number; offset: number; amount: number | null; retractedAt: number }[] = [];
  for (let offset = 0; offset < 160; offset++) {
    const of = random.integer(0, ENTITIES - 1);
    const open = rows.filter((row) => row.entity === of && row.amount !== null && row.retractedAt === Infinity);
    // One of them never loses any.
    if (of > 0 && open.length > 0 && random.oneIn(4)) {
      for (const row of open.filter(() => random.oneIn(3))) row.retractedAt = offset;
      if (open.some((row) => row.retractedAt === offset))
        rows.push({ entity: of, offset, amount: null, retractedAt: Infinity });
    } else rows.push({ entity: of, offset, amount: random.integer(0, 99) / 4, retractedAt: Infinity });
  }
  return rows.toSorted((a, b) => a.entity - b.entity || a.offset - b.offset);
}

function batchOf(rows: readonly Row[], corrected: ReadonlySet<number>): ReadEventBatch {
  const time = ({ offset }: Row): number => (1000 + offset) * SECOND;
  const columns = fold.eventColumns.map((name) =>
    rows.map((row) => (name === "amount" ? row.amount : name === "at" ? time(row) : `user ${row.entity}`)),
  );
  return {
    rowCount: rows.length,
    entity: Int32Array.from(rows, (row) => row.entity),
    offset: Float64Array.from(rows, (row) => row.offset),
    eventTime: Float64Array.from(rows, (row) =>
      row.amount === null ? Number.NaN : time(row) - (row.offset % 3) * SECOND,
    ),
    knownTime: Float64Array.from(rows, time),
    retractions: { at: Float64Array.from(rows, (row) => row.retractedAt), has: (id) => corrected.has(id) },
    values: columns as ReadEventBatch["values"],
    validity: columns.map((cells) => Uint8Array.from(cells, (cell) => Number(cell !== null))),
    fillRow: (i, into) =>
      fold.eventColumns.forEach(
        (name, c) => (into[source.columns.findIndex((one) => one.name === name)] = columns[c]![i]!),
      ),
    keyText: (id) => `user ${id}`,
  };
}

function join(rows: readonly Row[], labels: TaskLabels, bound: EventBound, cuts: readonly number[]): unknown {
  const features = fold.features.map(({ name, type }, slot) => ({ name, type, slot }));
  const task = new JoinTask({ definition, source, entity: user, bound, features }, fold, labels);
  const corrected = new Set(rows.filter(({ amount }) => amount === null).map((row) => row.entity));
  const ends = [...cuts, rows.length];
  const batch = batchOf(rows, corrected);
  // As another thread gets them.
  ends.forEach((to, i) => task.push(structuredClone(cutEvents(batch, ends[i - 1] ?? 0, to))));
  const { columns, ...counts } = task.finish();
  return {
    counts,
    columns: columns.map((one) => [one.numbers ?? one.objects, one.validity, one.statuses].map((cells) => [...cells!])),
  };
}

/** What an entity's labels read: a fold of the events that count at each one's limit, from nothing. */
function byHand(rows: readonly Row[], labels: TaskLabels, bound: EventBound): number[] {
  return Array.from(labels.entity, (of, i) => {
    const limit = labels.limit[i]!;
    const place = (row: Row): number => (bound === "offset" ? row.offset : (1000 + row.offset) * SECOND);
    const seen = rows.filter((row) => row.entity === of && place(row) <= limit);
    const marks = new Set(seen.filter(({ amount }) => amount === null).map(({ offset }) => offset));
    return seen.filter((row) => row.amount !== null && !marks.has(row.retractedAt)).length;
  });
}

describe("events that are taken back, in tasks", () => {
  it.each(["known", "offset"] as const)("are the same as in one go, by %s", (bound) => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = new SeededRandom(seed);
      const rows = randomRows(random);
      const limits = Array.from({ length: 60 }, () => [random.integer(0, ENTITIES), random.integer(0, 165)] as const)
        .map(([of, at]) => ({ of, at: bound === "offset" ? at : (1000 + at) * SECOND }))
        .toSorted((a, b) => a.of - b.of || a.at - b.at);
      const labels: TaskLabels = {
        entity: Int32Array.from(limits, ({ of }) => of),
        limit: Float64Array.from(limits, ({ at }) => at),
        asOf: bound === "offset" ? Float64Array.from(limits, () => (2000 * SECOND) as Micros) : null,
      };
      const whole = join(rows, labels, bound, []) as { columns: (readonly (readonly number[])[])[] };
      expect([seed, whole.columns[0]![0]]).toEqual([seed, byHand(rows, labels, bound)]);
      const cuts = [...new Set(Array.from({ length: 8 }, () => random.integer(1, rows.length - 1)))].sort(
        (a, b) => a - b,
      );
      expect([seed, join(rows, labels, bound, cuts)]).toEqual([seed, whole]);
    }
  });
});
