/**
 * Case b: the embedded pipeline on one core. Rows are pushed in batches of 500 by four callers; a push is answered once
 * its rows are synced and folded, and changed states go to LMDB every 50 ms. Beside it, the same rows through the fold
 * alone, their states in memory.
 */
import { join } from "node:path";
import { type Micros, microsFromMillis } from "../../src/base/micros.ts";
import { systemClock } from "../../src/base/clock.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import type { ViewFold, ViewState } from "../../src/fold/view-fold.ts";
import { diskStorage } from "../../src/ingest/disk-storage.ts";
import { openSourcePipeline } from "../../src/ingest/open-source-pipeline.ts";
import { openLmdbStore } from "../../src/online-store/lmdb.ts";
import { moveToAllCores, moveToCore, SERVER_CORE } from "../cores.ts";
import type { StreamRun } from "./run.ts";
import { payment, type Payment, workload } from "./workload.ts";

const BATCH_ROWS = 500;
const CALLERS = 4;
const GOAL_EVENTS_PER_SECOND = 100_000;
const { account, source, view } = workload();

export async function embeddedRate(run: StreamRun, folder: string): Promise<void> {
  const { rounds, embeddedEvents, accounts } = run.size;
  const [pushed, folded]: [number[], number[]] = [[], []];
  moveToCore(SERVER_CORE);
  try {
    for (let round = 0; round < rounds; round++) {
      const rows = Array.from({ length: embeddedEvents }, (_, i) =>
        payment(round * embeddedEvents + i, accounts, Date.now()),
      );
      pushed.push(await pushAll(rows, join(folder, `embedded-${round}`)));
      folded.push(foldAll(rows));
    }
  } finally {
    moveToAllCores();
  }
  const measured = { unit: "events/s", better: "higher", rounds: pushed } as const;
  run.report({ ...measured, case: "b-embedded", goal: GOAL_EVENTS_PER_SECOND });
  run.report({ ...measured, case: "b-embedded-beside-fold", reference: { name: "fold-alone", rounds: folded } });
}

async function pushAll(rows: readonly Payment[], folder: string): Promise<number> {
  const store = openLmdbStore({ folder: join(folder, "online") });
  const pipeline = await openSourcePipeline({
    source,
    views: [{ definition: view, entity: account, fold: compileViewFold(view, source, account) }],
    storage: diskStorage,
    folder,
    store,
    clock: systemClock,
  });
  let next = 0;
  const began = performance.now();
  const caller = async (): Promise<void> => {
    while (next < rows.length) {
      const batch = rows.slice(next, (next += BATCH_ROWS));
      const { accepted } = await pipeline.push(batch);
      if (accepted !== batch.length) throw new Error(`only ${accepted} of ${batch.length} were accepted`);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  const seconds = (performance.now() - began) / 1000;
  await pipeline.close();
  await store.close();
  return rows.length / seconds;
}

function foldAll(rows: readonly Payment[]): number {
  const fold: ViewFold = compileViewFold(view, source, account);
  const events = rows.map(({ account: key, at, amount, declined }) => {
    const time = microsFromMillis(Date.parse(at));
    return { row: [key, time, amount, declined], time };
  });
  const states = new Map<string, ViewState>();
  const began = performance.now();
  for (const [offset, { row, time }] of events.entries()) {
    const key = fold.keyOf(row);
    let state = states.get(key);
    if (state === undefined) states.set(key, (state = fold.empty()));
    fold.fold(state, { offset, eventTime: time, knownTime: time satisfies Micros, row });
  }
  return rows.length / ((performance.now() - began) / 1000);
}
