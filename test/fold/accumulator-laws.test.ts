/**
 * The laws of `accumulator.ts`, for every accumulator, on random events cut into groups at random places.
 * ONEFOLD_SEED=n runs them from the seed that a failure printed.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Accumulator, Cells, Channel } from "../../src/fold/accumulator.ts";
import { CountAccumulator, CountAndSumAccumulator, SumAccumulator, sumOf } from "../../src/fold/count-and-sum.ts";
import { categoryCounts } from "../../src/fold/category-counts.ts";
import { DecayedAccumulator } from "../../src/fold/decayed-sums.ts";
import { DISTINCT_VALUES } from "../../src/fold/distinct-values.ts";
import { QUANTILES } from "../../src/fold/quantile-sketch.ts";
import { sessionCounts } from "../../src/fold/session-counts.ts";
import { type Summary, SummaryAccumulator } from "../../src/fold/summary.ts";
import { TOP_VALUES, type TopState, topValues } from "../../src/fold/top-values.ts";
import { firstValues, lastValues } from "../../src/fold/value-list.ts";
import { CustomAccumulator, CustomStates } from "../../src/fold/custom-states.ts";
import { MaxAccumulator, MinAccumulator } from "../../src/fold/extremes.ts";
import { FirstAccumulator, LastAccumulator } from "../../src/fold/first-and-last.ts";
import { MomentsAccumulator } from "../../src/fold/moments.ts";
import { ObjectReader, ObjectWriter } from "../../src/fold/object-codec.ts";
import { float64, string } from "./definitions.ts";
import { caseCount } from "../case-count.ts";

/** Raw records `[time, mask, value]` with one object. */
const RAW_STRIDE = 3;
const numberChannel: Channel = { maskCell: 1, bit: 2, inputCell: 2 };
const objectChannel: Channel = { maskCell: 1, bit: 2, inputCell: 0 };
/** Groups begin with one cell and one object cell that belong to somebody else. */
const STRIDE = 5;
const OBJECT_STRIDE = 2;

fc.configureGlobal({
  ...fc.readConfigureGlobal(),
  numRuns: caseCount(150),
  ...(process.env["ONEFOLD_SEED"] === undefined ? {} : { seed: Number(process.env["ONEFOLD_SEED"]) }),
});

const texts = new CustomStates({
  name: "texts",
  output: string,
  empty: () => [],
  add: (state, input) => [...(state as string[]), input],
  merge: (earlier, later) => [...(earlier as string[]), ...(later as string[])],
  read: () => null,
});

interface Law {
  readonly name: string;
  readonly accumulator: Accumulator;
  /** What can be seen of a group. */
  read(cells: Cells): unknown;
  /** How far two numbers may lie apart, given the values added; 0 for those that agree to the bit. */
  tolerance(values: readonly number[]): number;
}

const exact = (): number => 0;
const sumOfAbsolutes = (values: readonly number[]): number =>
  1e-12 * values.reduce((sum, value) => sum + Math.abs(value), 0);
/** A quotient or product below the smallest number with all its digits loses up to half of the smallest there is. */
const sumOfAbsolutesOrUnderflow = (values: readonly number[]): number =>
  sumOfAbsolutes(values) + values.length * Number.MIN_VALUE;
/** Squares below the smallest number with all its digits lose some. */
const sumOfSquares = (values: readonly number[]): number =>
  1e-12 * values.reduce((sum, value) => sum + value * value, 0) + 1e-300;

const LAWS: readonly Law[] = [
  {
    name: "count",
    accumulator: new CountAccumulator(numberChannel, 1),
    read: ({ numbers }) => numbers[1],
    tolerance: exact,
  },
  {
    name: "sum",
    accumulator: new SumAccumulator(numberChannel, 1),
    read: ({ numbers }) => sumOf(numbers, 1),
    tolerance: sumOfAbsolutes,
  },
  {
    name: "count and sum: count",
    accumulator: countAndSum(),
    read: ({ numbers }) => numbers[1],
    tolerance: exact,
  },
  {
    name: "count and sum: sum",
    accumulator: countAndSum(),
    read: ({ numbers }) => sumOf(numbers, 2),
    tolerance: sumOfAbsolutes,
  },
  {
    name: "min",
    accumulator: new MinAccumulator(numberChannel, 1),
    read: ({ numbers }) => numbers[1],
    tolerance: exact,
  },
  {
    name: "max",
    accumulator: new MaxAccumulator(numberChannel, 1),
    read: ({ numbers }) => numbers[1],
    tolerance: exact,
  },
  {
    name: "moments: n",
    accumulator: new MomentsAccumulator(numberChannel, 1),
    read: ({ numbers }) => numbers[1],
    tolerance: exact,
  },
  {
    name: "moments: mean",
    accumulator: new MomentsAccumulator(numberChannel, 1),
    read: ({ numbers }) => numbers[2],
    tolerance: sumOfAbsolutesOrUnderflow,
  },
  {
    name: "moments: M2",
    accumulator: new MomentsAccumulator(numberChannel, 1),
    read: ({ numbers }) => numbers[3],
    tolerance: sumOfSquares,
  },
  {
    name: "first number",
    accumulator: new FirstAccumulator(numberChannel, "number", 1, 1),
    read: ({ numbers }) => [numbers[1], numbers[2]],
    tolerance: exact,
  },
  {
    name: "last number",
    accumulator: new LastAccumulator(numberChannel, "number", 1, 1),
    read: ({ numbers }) => [numbers[1], numbers[2]],
    tolerance: exact,
  },
  {
    name: "first object",
    accumulator: new FirstAccumulator(objectChannel, "object", 1, 1),
    read: ({ numbers, objects }) => [numbers[1], objects[1]],
    tolerance: exact,
  },
  {
    name: "last object",
    accumulator: new LastAccumulator(objectChannel, "object", 1, 1),
    read: ({ numbers, objects }) => [numbers[1], objects[1]],
    tolerance: exact,
  },
  {
    name: "custom",
    accumulator: new CustomAccumulator(texts, objectChannel, 1),
    read: ({ objects }) => seenCustom(objects[1]),
    tolerance: exact,
  },
  {
    name: "decayed sum: time",
    accumulator: new DecayedAccumulator(numberChannel, 3, 1),
    read: ({ numbers }) => numbers[1],
    tolerance: exact,
  },
  {
    name: "decayed sum",
    accumulator: new DecayedAccumulator(numberChannel, 3, 1),
    read: ({ numbers }) => numbers[2],
    tolerance: sumOfAbsolutesOrUnderflow,
  },
  {
    name: "decayed sum: weights",
    accumulator: new DecayedAccumulator(numberChannel, 3, 1),
    read: ({ numbers }) => numbers[3],
    tolerance: (values) => 1e-12 * values.length,
  },
  summaryLaw("first 3", firstValues(3)),
  summaryLaw("last 3", lastValues(3)),
  summaryLaw("last 3 texts", lastValues(3), false),
  summaryLaw("distinct values", DISTINCT_VALUES),
  summaryLaw("quantiles", QUANTILES),
  summaryLaw("sessions", sessionCounts(1)),
  summaryLaw("histogram", categoryCounts([1, 3])),
  {
    ...summaryLaw("top values", TOP_VALUES),
    // in which order values came is not what a reader sees
    read: ({ objects }) => topValues((objects[1] ?? TOP_VALUES.empty()) as TopState, 64),
  },
];

function countAndSum(): Accumulator {
  return new CountAndSumAccumulator(new CountAccumulator(numberChannel, 1), new SumAccumulator(numberChannel, 2));
}

/** A summary of values, which are numbers unless said otherwise; null reads as its empty state. */
function summaryLaw<S>(name: string, summary: Summary<S>, isNumber: boolean = true): Law {
  return {
    name,
    accumulator: new SummaryAccumulator(
      summary as Summary,
      isNumber ? numberChannel : objectChannel,
      isNumber ? float64 : string,
      isNumber,
      1,
    ),
    read: ({ objects }) => objects[1] ?? summary.empty(),
    tolerance: exact,
  };
}

/** A kept group holds text, a read's group the state in a box. */
function seenCustom(cell: unknown): unknown {
  return typeof cell === "string" ? JSON.parse(cell) : cell === null ? null : (cell as { state: unknown }).state;
}

/** Ill-conditioned on purpose: large values that cancel. */
const value = fc.oneof(
  fc.constantFrom(1e16, -1e16, 1, 3, 0.1),
  fc.double({ min: -1e9, max: 1e9, noNaN: true }),
  fc.integer({ min: -50, max: 50 }),
);
const event = fc.record({
  value: value.map((number) => number + 0),
  counts: fc.boolean(),
  gap: fc.integer({ min: 0, max: 2 }),
});
const events = fc.array(event, { maxLength: 40 });
type Event = typeof event extends fc.Arbitrary<infer E> ? E : never;

/** The smallest number there is, halved and weighed at once or step by step. */
const SMALLEST_VALUES: [Event[], number, number][] = [
  [
    [
      { value: -Number.MIN_VALUE, counts: true, gap: 0 },
      { value: 0, counts: true, gap: 0 },
    ],
    0,
    0,
  ],
  [
    [
      { value: Number.MIN_VALUE, counts: true, gap: 0 },
      { value: 0, counts: true, gap: 2 },
      { value: 0, counts: true, gap: 2 },
    ],
    1,
    3,
  ],
];

function rawOf(list: readonly Event[]): Cells {
  const numbers = new Float64Array(list.length * RAW_STRIDE);
  const objects: unknown[] = [];
  let time = 1000;
  list.forEach(({ value: number, counts, gap }, i) => {
    time += gap;
    numbers.set([time, (counts ? 2 : 0) + (i % 2), number], i * RAW_STRIDE);
    objects.push(JSON.stringify([`e${i}`]));
  });
  return { numbers, objects };
}

function groups(count: number, { accumulator }: Law): Cells {
  const cells: Cells = {
    numbers: new Float64Array(count * STRIDE).fill(77),
    objects: Array.from<unknown>({ length: count * OBJECT_STRIDE }).fill("other"),
  };
  for (let i = 0; i < count; i++) accumulator.clear(cells, i * STRIDE, i * OBJECT_STRIDE);
  return cells;
}

/** Records [begin, end) added one by one into group `index`. */
function addAll({ accumulator }: Law, cells: Cells, index: number, raw: Cells, begin: number, end: number): void {
  for (let i = begin; i < end; i++)
    accumulator.add(cells, index * STRIDE, index * OBJECT_STRIDE, raw, i * RAW_STRIDE, i);
}

function expectAgreement(law: Law, list: readonly Event[], ...found: Cells[]): void {
  const tolerance = law.tolerance(list.filter(({ counts }) => counts).map((one) => one.value));
  const [first, ...others] = found.map((cells) => law.read(cells));
  for (const other of others) {
    if (typeof first === "number" && typeof other === "number" && tolerance > 0) {
      expect(Math.abs(first - other)).toBeLessThanOrEqual(tolerance);
    } else expect(other).toEqual(first);
  }
  for (const cells of found) {
    expect(cells.numbers[0]).toBe(77);
    expect(cells.objects[0]).toBe("other");
  }
}

describe.each(LAWS)("$name", (law) => {
  const { accumulator } = law;

  it("has the cleared group as identity of merging, from either side", () => {
    fc.assert(
      fc.property(events, (list) => {
        const raw = rawOf(list);
        const plain = groups(1, law);
        addAll(law, plain, 0, raw, 0, list.length);
        const appended = groups(2, law);
        addAll(law, appended, 0, raw, 0, list.length);
        accumulator.mergeYounger(appended, 0, 0, appended, STRIDE, OBJECT_STRIDE);
        const prepended = groups(2, law);
        addAll(law, prepended, 1, raw, 0, list.length);
        accumulator.mergeYounger(prepended, 0, 0, prepended, STRIDE, OBJECT_STRIDE);
        expect(law.read(appended)).toEqual(law.read(plain));
        expect(law.read(prepended)).toEqual(law.read(plain));
      }),
    );
  });

  it("merges associatively, and as if the events had been added one by one, from either end", () => {
    fc.assert(
      fc.property(events, fc.nat(40), fc.nat(40), (list, a, b) => {
        const [cut1, cut2] = [Math.min(a, b, list.length), Math.min(Math.max(a, b), list.length)];
        const raw = rawOf(list);
        const oneByOne = groups(1, law);
        addAll(law, oneByOne, 0, raw, 0, list.length);
        const three = (): Cells => {
          const cells = groups(3, law);
          addAll(law, cells, 0, raw, 0, cut1);
          addAll(law, cells, 1, raw, cut1, cut2);
          addAll(law, cells, 2, raw, cut2, list.length);
          return cells;
        };
        const merge = (cells: Cells, into: number, from: number): void =>
          accumulator.mergeYounger(
            cells,
            into * STRIDE,
            into * OBJECT_STRIDE,
            cells,
            from * STRIDE,
            from * OBJECT_STRIDE,
          );
        const leftFirst = three();
        merge(leftFirst, 0, 1);
        merge(leftFirst, 0, 2);
        const rightFirst = three();
        merge(rightFirst, 1, 2);
        merge(rightFirst, 0, 1);
        // as a read goes: raw records first, then older groups
        const running = groups(1, law);
        accumulator.addOlder(running, raw, cut2, list.length, RAW_STRIDE, 1);
        accumulator.mergeOlder(running, three(), 0, 2, STRIDE, OBJECT_STRIDE);
        const inTwoSteps = groups(1, law);
        accumulator.addOlder(inTwoSteps, raw, cut2, list.length, RAW_STRIDE, 1);
        accumulator.addOlder(inTwoSteps, raw, cut1, cut2, RAW_STRIDE, 1);
        accumulator.addOlder(inTwoSteps, raw, 0, cut1, RAW_STRIDE, 1);
        expectAgreement(law, list, oneByOne, leftFirst, rightFirst, running, inTwoSteps);
      }),
      { examples: SMALLEST_VALUES },
    );
  });
});

/** The first group as a store keeps it: its bits, and its objects as the codec writes them. */
function bytesOf(cells: Cells): Buffer {
  const writer = new ObjectWriter();
  writer.putAll(cells.objects, 0, OBJECT_STRIDE);
  return Buffer.concat([Buffer.from(cells.numbers.slice(0, STRIDE).buffer), writer.bytes()]);
}

function cellsOf(bytes: Buffer): Cells {
  const numbers = new Float64Array(STRIDE);
  new Uint8Array(numbers.buffer).set(bytes.subarray(0, STRIDE * 8));
  const reader = new ObjectReader(bytes.subarray(STRIDE * 8));
  const objects = reader.take(OBJECT_STRIDE);
  reader.expectEnd();
  return { numbers, objects };
}

/** So many different values that sketches are past what they keep exactly. */
const manyEvents = fc
  .record({ size: fc.integer({ min: 0, max: 1500 }), factor: fc.constantFrom(0.1, 1, 7) })
  .map(({ size, factor }) =>
    Array.from({ length: size }, (_, i): Event => ({
      value: ((i * 7919) % 1511) * factor - 100,
      counts: i % 5 > 0,
      gap: i % 3,
    })),
  );

describe.each(LAWS)("$name, stored and read back at any point", (law) => {
  it("has the same bits, and goes on as if it had never been away", () => {
    fc.assert(
      fc.property(fc.oneof(events, manyEvents), fc.nat(1500), (list, cut) => {
        const raw = rawOf(list);
        const at = Math.min(cut, list.length);
        const undisturbed = groups(1, law);
        addAll(law, undisturbed, 0, raw, 0, at);
        const stored = bytesOf(undisturbed);
        const back = cellsOf(stored);
        expect(bytesOf(back).equals(stored)).toBe(true);
        addAll(law, undisturbed, 0, raw, at, list.length);
        addAll(law, back, 0, raw, at, list.length);
        expect(bytesOf(back).equals(bytesOf(undisturbed))).toBe(true);
      }),
      { numRuns: caseCount(60) },
    );
  });
});

describe.each(LAWS)("$name", (law) => {
  const { accumulator } = law;
  const strides = { stride: STRIDE, objectStride: OBJECT_STRIDE, rawStride: RAW_STRIDE, rawObjectStride: 1 };

  it("starts and merges many groups at once with the bits of one by one", () => {
    fc.assert(
      fc.property(events, fc.array(fc.boolean()), (list, joins) => {
        const raw = rawOf(list);
        const oneByOne = groups(list.length + 1, law);
        const atOnce: Cells = { numbers: oneByOne.numbers.slice(), objects: [...oneByOne.objects] };
        list.forEach((_, i) => addAll(law, oneByOne, i + 1, raw, i, i + 1));
        accumulator.startEach(atOnce, 1, raw, 0, list.length, strides);
        expect(atOnce).toEqual(oneByOne);

        const pairs: number[] = [];
        let kept = 1;
        for (let i = 2; i <= list.length; i++) {
          if (joins[i] === true) pairs.push(kept, i);
          else kept = i;
        }
        for (let i = 0; i < pairs.length; i += 2) {
          const [older, younger] = [pairs[i]!, pairs[i + 1]!];
          accumulator.mergeYounger(
            oneByOne,
            older * STRIDE,
            older * OBJECT_STRIDE,
            oneByOne,
            younger * STRIDE,
            younger * OBJECT_STRIDE,
          );
        }
        accumulator.mergeEach(atOnce, pairs, strides);
        expect(atOnce).toEqual(oneByOne);
      }),
    );
  });
});

describe("sums of cancelling values", () => {
  it("keep what merging groups rounds away", () => {
    const sum = new SumAccumulator(numberChannel, 0);
    const cells: Cells = { numbers: new Float64Array(8), objects: [] };
    const raw: Cells = { numbers: Float64Array.of(0, 2, 1e16, 0, 2, 1, 0, 2, 1, 0, 2, -1e16), objects: [] };
    sum.add(cells, 0, 0, raw, 0);
    sum.add(cells, 0, 0, raw, 3);
    sum.add(cells, 2, 0, raw, 6);
    sum.add(cells, 2, 0, raw, 9);
    sum.mergeYounger(cells, 0, 0, cells, 2);
    expect(sumOf(cells.numbers, 0)).toBe(2);
    sum.mergeOlder(cells, { numbers: Float64Array.of(1e16, 1, -1e16, 1), objects: [] }, 0, 2, 2);
    expect(sumOf(cells.numbers, 0)).toBe(4);
  });
});
