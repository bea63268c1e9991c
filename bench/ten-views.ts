/**
 * An event into ten views of one entity, as `onefold serve` takes it in: door, log synced, fold, states to LMDB. Beside
 * it the same where every changed state is written whole at each flush, as a server does that copies them to Redis.
 * `npm run bench -- ten-views [--json] [--accounts N] [--cold]`.
 *
 * Pushes of 250 events, one each 50 ms or slower, as case c of the serving benchmark sends them; states of 60 buckets.
 * What is measured is the processor time an event takes, of all threads, for the wall clock of a shared machine says
 * less. With `--cold` next to no states are kept in memory.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Micros, MICROS_PER_DAY } from "../src/base/micros.ts";
import type { EntityDefinition, ViewDefinition } from "../src/define/definition.ts";
import { compileViewFold } from "../src/fold/compile.ts";
import { diskStorage } from "../src/ingest/disk-storage.ts";
import { openSourcePipeline, type SourcePipeline } from "../src/ingest/source-pipeline.ts";
import { stateSpace } from "../src/ingest/view-runner.ts";
import { openLmdbStore } from "../src/online-store/lmdb.ts";
import type { SharedOnlineStore } from "../src/online-store/online-store.ts";
import { SeededRandom } from "../src/testing/random.ts";
import { report } from "./report.ts";
import { accountKey } from "./serving/payment-row.ts";
import { EVENTS_MEDIAN, payments, WIDE_DAYS, wideDefinitions } from "./serving/payments.ts";

const BATCH_EVENTS = 250;
const BATCHES = 40;
const ROUNDS = 3;
const COLD_BYTES = 1;
/** Of what writing every state whole takes. */
const GOAL = 0.5;

const { values: options } = parseArgs({
  options: {
    json: { type: "boolean" },
    accounts: { type: "string", default: "10000" },
    cold: { type: "boolean", default: false },
  },
});
const accounts = Number(options.accounts);
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
async function fill(store: SharedOnlineStore): Promise<void> {
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

/** Microseconds of processor time an event. */
async function measure(folder: string, wholeStates: boolean): Promise<number> {
  const store = openLmdbStore({ folder: join(folder, "online") });
  await fill(store);
  const pipeline = await openSourcePipeline({
    source: payments,
    views,
    storage: diskStorage,
    folder,
    store,
    clock: { now: () => time.now as Micros },
    wholeStates,
    ...(options.cold ? { hotBytesMax: () => COLD_BYTES } : {}),
  });
  await push(pipeline, BATCHES / 4);
  const began = process.cpuUsage();
  await push(pipeline, BATCHES);
  await pipeline.drain();
  const { user, system } = process.cpuUsage(began);
  await pipeline.close();
  await store.close();
  return (user + system) / (BATCHES * BATCH_EVENTS);
}

async function push(pipeline: SourcePipeline, batches: number): Promise<void> {
  for (let batch = 0; batch < batches; batch++) {
    time.now += 50_000;
    await pipeline.push(Array.from({ length: BATCH_EVENTS }, () => payment(random.integer(0, accounts - 1))));
    await sleep(50);
  }
}

const root = mkdtempSync(join(tmpdir(), "onefold-bench-"));
try {
  const taken: number[] = [];
  const whole: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    whole.push(await measure(join(root, `whole-${round}`), true));
    taken.push(await measure(join(root, `tails-${round}`), false));
    for (const kind of ["whole", "tails"]) rmSync(join(root, `${kind}-${round}`), { recursive: true });
  }
  report({
    bench: "ten-views",
    case: options.cold ? "processor-time-cold" : "processor-time",
    unit: "us/event",
    better: "lower",
    rounds: taken,
    reference: { name: "every-state-whole", rounds: whole },
    goal: GOAL,
  });
} finally {
  rmSync(root, { recursive: true, force: true });
}
