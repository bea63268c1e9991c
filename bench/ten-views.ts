/**
 * An event into ten views of one entity, as `onefold serve` takes it in: door, log synced, fold, states to LMDB. Beside
 * it the same where every changed state is written whole at each flush, as a server does that copies them to Redis.
 * `npm run bench -- ten-views [--json]`.
 *
 * Pushes of 250 events, one each 50 ms or slower, as case c of the serving benchmark sends them; states of 60 buckets.
 * What is measured is the processor time an event takes, of all threads, for the wall clock of a shared machine says
 * less. "again": accounts whose states are in memory, with tails of every length. "first": mostly accounts whose first event
 * it is since the start, so that their ten states are read from the store. "vector": all fifty features of the ten views of
 * an account, states in memory, as a vector reads them; beside it the thirty of the service of case c alone.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Micros, MICROS_PER_DAY } from "../src/base/micros.ts";
import type { EntityDefinition, ViewDefinition } from "../src/define/definition.ts";
import { compileViewFold } from "../src/fold/compile.ts";
import { createReadBuffer } from "../src/fold/view-fold.ts";
import { diskStorage } from "../src/ingest/disk-storage.ts";
import { openSourcePipeline } from "../src/ingest/open-source-pipeline.ts";
import type { SourcePipeline } from "../src/ingest/source-pipeline.ts";
import { TAIL_LIMITS } from "../src/ingest/tail-group.ts";
import { stateSpace } from "../src/ingest/stored-view.ts";
import { openLmdbStore } from "../src/online-store/lmdb.ts";
import type { SharedOnlineStore } from "../src/online-store/online-store.ts";
import { SeededRandom } from "../src/testing/random.ts";
import { report } from "./report.ts";
import { accountKey } from "./serving/payment-row.ts";
import { EVENTS_MEDIAN, payments, WIDE_DAYS, wideDefinitions } from "./serving/payments.ts";

const BATCH_EVENTS = 250;
const BATCHES = 40;
const ROUNDS = 3;
const VECTORS = 20_000;
/** Of its five features, those of case c. */
const READ_SLOTS = [0, 1, 2];
/** Of what writing every state whole takes. */
const GOAL = 0.5;
const CASES = [
  { name: "again", accounts: 5000, isFirst: false },
  { name: "first", accounts: 10_000, isFirst: true },
] as const satisfies readonly Case[];

interface Case {
  readonly name: string;
  readonly accounts: number;
  readonly isFirst: boolean;
}

const account = wideDefinitions.find((one): one is EntityDefinition => one.kind === "entity")!;
const views = wideDefinitions
  .filter((one): one is ViewDefinition => one.kind === "view")
  .map((definition) => ({ definition, entity: account, fold: compileViewFold(definition, payments, account) }));
const time = { now: Date.UTC(2026, 0, 1) * 1000 };
const random = new SeededRandom(7);

function payment(number: number): Record<string, unknown> {
  const amount = random.integer(1, 20_000) / 100;
  return { account: accountKey(number), at: { micros: time.now - 1000 }, amount, declined: random.oneIn(10) };
}

/** Every account's states, alike: of so many events spread over the longest window, before all live ones. */
async function fill(store: SharedOnlineStore, accounts: number): Promise<void> {
  for (const { definition, fold } of views) {
    const state = fold.empty();
    for (let n = 0; n < EVENTS_MEDIAN; n++) {
      const at = (time.now - (WIDE_DAYS * MICROS_PER_DAY * (EVENTS_MEDIAN - n)) / (EVENTS_MEDIAN + 1)) as Micros;
      const row = ["a", at, n, n % 10 === 0];
      fold.fold(state, { offset: n - EVENTS_MEDIAN, eventTime: at, knownTime: at, row });
    }
    const space = stateSpace(`${definition.name}@${definition.version}`, 0);
    const written = { space, epoch: 0, offset: -1, bytes: fold.encode(state) };
    const keys = Array.from({ length: accounts }, (_, n) => ({ ...written, key: accountKey(n) }));
    await store.commitAlone(keys, []);
  }
}

/** Microseconds of processor time a vector: of all features, and of some of each view. */
function measureVectors(pipeline: SourcePipeline, accounts: number): readonly [all: number, some: number] {
  const keys = Array.from({ length: VECTORS }, () => accountKey(random.integer(0, accounts - 1)));
  const reads = pipeline.runners.map((runner) => ({
    runner,
    all: runner.view.fold,
    some: runner.view.fold.reader(READ_SLOTS),
    buffer: createReadBuffer(runner.view.fold.features.length),
  }));
  const asOf = time.now as Micros;
  const microsOf = (which: "all" | "some"): number => {
    const began = process.cpuUsage();
    for (const key of keys) {
      for (const each of reads) each[which].read(each.runner.state(key), asOf, each.buffer);
    }
    const { user, system } = process.cpuUsage(began);
    return (user + system) / VECTORS;
  };
  return [microsOf("all"), microsOf("some")];
}

interface Measured {
  /** Microseconds of processor time. */
  readonly event: number;
  readonly vectors: readonly [all: number, some: number];
}

async function measure(folder: string, { accounts, isFirst }: Case, wholeStates: boolean): Promise<Measured> {
  const store = openLmdbStore({ folder: join(folder, "online") });
  await fill(store, accounts);
  const pipeline = await openSourcePipeline({
    source: payments,
    views,
    storage: diskStorage,
    folder,
    store,
    clock: { now: () => time.now as Micros },
    wholeStates,
  });
  // Before it is measured each has had another number of events, so that as many tails are long as ever will be.
  const before = isFirst ? 0 : TAIL_LIMITS.eventsMax + 1;
  for (let n = 0; n < before; n++) {
    const some = Array.from({ length: accounts }, (_, i) => i).filter((i) => i % before >= n);
    await pipeline.push(some.map(payment));
  }
  await pipeline.drain();
  const began = process.cpuUsage();
  for (let batch = 0; batch < BATCHES; batch++) {
    time.now += 50_000;
    await pipeline.push(Array.from({ length: BATCH_EVENTS }, () => payment(random.integer(0, accounts - 1))));
    await sleep(50);
  }
  await pipeline.drain();
  const { user, system } = process.cpuUsage(began);
  const vectors = measureVectors(pipeline, accounts);
  await pipeline.close();
  await store.close();
  return { event: (user + system) / (BATCHES * BATCH_EVENTS), vectors };
}

const root = mkdtempSync(join(tmpdir(), "onefold-bench-"));
try {
  // The compiler has seen it all once before it is measured.
  const few = { ...CASES[0], accounts: 500 };
  for (const wholeStates of [true, false]) await measure(join(root, `warm-${wholeStates}`), few, wholeStates);
  for (const each of CASES) {
    const taken: number[] = [];
    const whole: number[] = [];
    const vectors: (readonly [number, number])[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      for (const [wholeStates, rounds] of [
        [true, whole],
        [false, taken],
      ] as const) {
        const folder = join(root, `${each.name}-${round}-${wholeStates}`);
        const measured = await measure(folder, each, wholeStates);
        rounds.push(measured.event);
        vectors.push(measured.vectors);
        rmSync(folder, { recursive: true });
      }
    }
    report({
      bench: "ten-views",
      case: each.name,
      unit: "us/event",
      better: "lower",
      rounds: taken,
      reference: { name: "every-state-whole", rounds: whole },
      goal: GOAL,
    });
    if (each.isFirst) continue;
    report({
      bench: "ten-views",
      case: "vector",
      unit: "us/vector",
      better: "lower",
      rounds: vectors.map(([, some]) => some),
      reference: { name: "all-features", rounds: vectors.map(([all]) => all) },
    });
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
