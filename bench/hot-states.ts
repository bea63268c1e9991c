/**
 * States in memory as the fold's owner keeps them, beside the same states kept as they are decoded: what one takes of the
 * heap, what a full collection takes with all of them there, and what a read takes. `npm run bench -- hot-states [--json]`.
 *
 * 50,000 states of 60 buckets (1.5 KB each) of one view of five features; and of the same view with a sixth, the last of a text.
 * Times are of the processor.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Micros, MICROS_PER_DAY } from "../src/base/micros.ts";
import type { EntityDefinition, ViewDefinition } from "../src/define/definition.ts";
import { compileViewFold } from "../src/fold/compile.ts";
import type { FoldState } from "../src/fold/fold-state.ts";
import { createReadBuffer, type ViewFold } from "../src/fold/view-fold.ts";
import { openHotStates } from "../src/ingest/open-hot-states.ts";
import { MemoryOnlineStore } from "../src/online-store/memory.ts";
import { SeededRandom } from "../src/testing/random.ts";
import { report } from "./report.ts";
import { accountKey } from "./serving/payment-row.ts";
import { EVENTS_MEDIAN, payments, WIDE_DAYS, wideDefinitions } from "./serving/payments.ts";

const STATES = 50_000;
const READS = 50_000;
const ROUNDS = 3;
const NOW = (Date.UTC(2026, 0, 1) * 1000) as Micros;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const account = wideDefinitions.find((one): one is EntityDefinition => one.kind === "entity")!;
const view = wideDefinitions.findLast((one): one is ViewDefinition => one.kind === "view")!;
const lastText = {
  name: "last_account",
  type: { name: "string" },
  aggregation: { fn: "last", column: "account" },
} as const;

/** A way of keeping states. */
interface Keeper {
  state(key: string): FoldState | null;
}

function encodedState(fold: ViewFold<FoldState>): Uint8Array {
  const state = fold.empty();
  for (let n = 0; n < EVENTS_MEDIAN; n++) {
    const at = (NOW - (WIDE_DAYS * MICROS_PER_DAY * (EVENTS_MEDIAN - n)) / (EVENTS_MEDIAN + 1)) as Micros;
    fold.fold(state, { offset: n, eventTime: at, knownTime: at, row: [accountKey(n), at, n, n % 10 === 0] });
  }
  return fold.encode(state);
}

function asTheOwner(fold: ViewFold<FoldState>, encoded: Uint8Array): Keeper {
  const store = new MemoryOnlineStore();
  store.lend = () => encoded;
  const hot = openHotStates({ fold, store, space: "s", epoch: 0, bytesMax: () => Number.POSITIVE_INFINITY });
  return { state: (key) => hot.get(key) };
}

function asDecoded(fold: ViewFold<FoldState>, encoded: Uint8Array): Keeper {
  const states = new Map<string, FoldState>();
  return {
    state: (key) => {
      let state = states.get(key);
      if (state === undefined) states.set(key, (state = fold.decode(encoded)));
      return state;
    },
  };
}

function cpuMicros(work: () => void): number {
  const began = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(began);
  return user + system;
}

interface Measured {
  readonly heapBytes: number;
  readonly collectionMs: number;
  readonly readMicros: number;
}

function measure(fold: ViewFold<FoldState>, open: typeof asTheOwner): Measured {
  const encoded = encodedState(fold);
  const buffer = createReadBuffer(fold.features.length);
  collect();
  const before = process.memoryUsage().heapUsed;
  const keeper = open(fold, encoded);
  for (let n = 0; n < STATES; n++) keeper.state(accountKey(n));
  collect();
  const heapBytes = (process.memoryUsage().heapUsed - before) / STATES;
  const collectionMs = cpuMicros(collect) / 1000;
  const random = new SeededRandom(7);
  const keys = Array.from({ length: READS }, () => accountKey(random.integer(0, STATES - 1)));
  const reading = cpuMicros(() => {
    for (const key of keys) fold.read(keeper.state(key), NOW, buffer);
  });
  return { heapBytes, collectionMs, readMicros: reading / READS };
}

for (const [suffix, definition] of [
  ["", view],
  [" with a text", { ...view, features: [...view.features, lastText] }],
] as const) {
  const fold = compileViewFold(definition, payments, account);
  const owner: Measured[] = [];
  const decoded: Measured[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    decoded.push(measure(fold, asDecoded));
    owner.push(measure(fold, asTheOwner));
  }
  for (const [name, of, unit, goal] of [
    ["heap", "heapBytes", "bytes/state", 0.35],
    // With all else that is on the heap of this process.
    ["collection", "collectionMs", "ms", null],
    ["read", "readMicros", "us/read", 1.5],
  ] as const) {
    report({
      bench: "hot-states",
      case: name + suffix,
      unit,
      better: "lower",
      rounds: owner.map((one) => one[of]),
      reference: { name: "decoded", rounds: decoded.map((one) => one[of]) },
      ...(goal === null ? {} : { goal }),
    });
  }
}
