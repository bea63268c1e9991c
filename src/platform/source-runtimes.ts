/**
 * The running sources of a data folder, one for each registered stream.
 */
import { OnefoldError } from "../base/errors.ts";
import { formatViewName } from "../define/definition.ts";
import type { SourceGauges } from "../monitor/metrics/monitored-house.ts";
import { ignoreRefusal, isTableRefused } from "../offline-store/refused-table.ts";
import type { LocalOnlineStore } from "../online-store/online-store.ts";
import type { ServedView } from "../serve/ports.ts";
import { refuseNotRun } from "./not-run.ts";
import { forgetStaleViews } from "./forgotten-views.ts";
import { historyPlace } from "./view-builder.ts";
import type { CatalogView } from "./view-catalog.ts";
import type { OnProgress, RuntimeContext } from "./runtime-context.ts";
import { StaleViews } from "./monitoring/stale-views.ts";
import type { RuntimeFreshness } from "./monitoring/runtime-freshness.ts";
import { SourceRuntime } from "./source-runtime.ts";
import { BackfillPace } from "../ingest/backfill-pace.ts";
import type { RunOptions } from "../ingest/batch/batch-reader.ts";
import type { BatchRun } from "../ingest/batch/batch-state.ts";
import type { PushResult, RowFaults } from "../ingest/pipeline.ts";
import { SourceBatches } from "./source-batches.ts";
import { SourcePolls } from "./source-polls.ts";

/** A view as serving reads it, and where its states stand. */
export interface RunningView extends ServedView {
  /** The position stored with the states. */
  storedPosition(): number;
  /** As `ViewRunner.storedStates`. */
  storedStates(): IterableIterator<{ readonly key: string; readonly bytes: Uint8Array }>;
}

export class SourceRuntimes {
  readonly #context: RuntimeContext;
  readonly #online: LocalOnlineStore;
  readonly #runtimes = new Map<string, SourceRuntime>();
  readonly #waitingFor = new Set<string>();
  /** Views in whose place a fallback is served. */
  readonly stale: StaleViews = new StaleViews();
  readonly #polls: SourcePolls;
  readonly #batches: SourceBatches;
  #refreshing: Promise<void> = Promise.resolve();
  readonly #closing = new AbortController();

  private constructor(context: RuntimeContext, online: LocalOnlineStore) {
    this.#context = context;
    this.#online = online;
    const { clock, dataDir, registry } = context;
    this.#polls = new SourcePolls({
      clock,
      dataDir,
      streams: () => registry.sources().flatMap(({ definition }) => (definition.kind === "stream" ? [definition] : [])),
      push: (source, rows) => this.get(source).push(rows),
    });
    this.#batches = new SourceBatches({
      context,
      push: (source, rows, nameOf) => this.get(source).push(rows, undefined, nameOf),
      closedLog: (source) => this.#runtimes.get(source)?.closedLog() ?? null,
    });
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Opens all registered streams: recovers their logs, folds what no commit holds yet. */
  static async open(
    context: RuntimeContext,
    online: LocalOnlineStore,
    onProgress?: OnProgress,
  ): Promise<SourceRuntimes> {
    const runtimes = new SourceRuntimes(context, online);
    try {
      await runtimes.refresh(onProgress);
      return runtimes;
    } catch (error) {
      await runtimes.close().catch(() => undefined);
      throw error;
    }
  }

  /**
   * Starts what the registry has gained: sources, columns of sources, views; and lets go of drafts that it lost. All of it is of
   * one moment, whatever is registered meanwhile: another call follows that. One call at a time.
   */
  async refresh(onProgress?: OnProgress): Promise<void> {
    this.#refreshing = this.#refresh(onProgress);
    await this.#refreshing;
  }

  async #refresh(onProgress?: OnProgress): Promise<void> {
    const { registry, catalog, stateMemory } = this.#context;
    const sources = registry.sources();
    const viewsOf = new Map(sources.map(({ definition: { name } }) => [name, catalog.computableOn(name)]));
    const folded = registry.views().filter(({ definition }) => definition.online || definition.offline);
    await this.#retireViews(viewsOf, new Map(folded.map((one) => [formatViewName(one.definition), one.fingerprint])));
    stateMemory.viewCount = folded.length;
    let refusal: OnefoldError | null = null;
    for (const { definition } of sources) {
      if (this.#isClosed) return;
      const { name } = definition;
      const running = this.#runtimes.get(name);
      if (running !== undefined) {
        try {
          await running.refresh(definition, viewsOf.get(name)!, onProgress);
        } catch (error) {
          if (!isTableRefused(error)) throw error;
          refusal ??= error;
        }
        continue;
      }
      this.#waitingFor.add(`source ${name}`);
      this.#runtimes.set(name, await SourceRuntime.open(this.#context, this.#online, definition, onProgress));
      this.#waitingFor.delete(`source ${name}`);
    }
    if (this.#isClosed) return;
    await this.#polls.refresh();
    await this.#batches.refresh();
    // Behind all others: what waits for a table of one source keeps none of them up.
    if (refusal !== null) throw refusal;
  }

  /** Asks the APIs of polled sources and reads batch sources on their schedules from now on; a second call does nothing. */
  startPolls(): void {
    this.#polls.start();
    this.#batches.start();
  }

  /** As `SourceBatches.run`. */
  runBatch(source: string, options?: RunOptions): Promise<BatchRun> {
    return this.#batches.run(source, options);
  }

  /** Everywhere first, and only then are any built: a draft may have moved from one source to another. */
  async #retireViews(
    viewsOf: ReadonlyMap<string, readonly CatalogView[]>,
    fingerprints: ReadonlyMap<string, string>,
  ): Promise<void> {
    const { registry } = this.#context;
    // Only what was retired: a number that is merely not there may be another registry's.
    const retired = new Set(
      registry.retired().flatMap(({ definition }) => (definition.kind === "view" ? [formatViewName(definition)] : [])),
    );
    for (const runtime of this.#runtimes.values()) {
      if (this.#isClosed) return;
      await runtime.retireViews(retired, viewsOf.get(runtime.name) ?? []);
    }
    if (this.#isClosed) return;
    try {
      await forgetStaleViews(
        this.#online,
        new BackfillPace(this.#context.backfillBudget),
        (view, fingerprint) => (view.endsWith("@dev") ? fingerprints.get(view) !== fingerprint : retired.has(view)),
        this.#closing.signal,
      );
    } catch (error) {
      // The next opening goes on with it.
      if (this.#isClosed) return;
      throw error;
    }
    await this.#dropTables([...retired].map((view) => `features/${view}`));
  }

  async #dropTables(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    const { offline } = this.#context;
    const there = await offline.names();
    const dropped = names.filter((name) => there.includes(name));
    if (dropped.length === 0) return;
    // A pass that was under way may have rows of them still; one behind it has none, also where another table is refused.
    for (const runtime of this.#runtimes.values()) await runtime.archiveNow().catch(ignoreRefusal);
    for (const name of dropped) await offline.drop(name);
  }

  /** Takes rows in. Throws as `get`, `PUSH_BLOCKED`, and `SOURCE_IS_BATCH` for one whose rows are read. */
  async push(source: string, rows: readonly unknown[], faults?: RowFaults): Promise<PushResult> {
    if (this.#context.registry.source(source).definition.kind === "batch") {
      throw new OnefoldError("SOURCE_IS_BATCH", `source ${source} is a batch source, which takes no pushed events`, {
        where: source,
        hint: `have it read: onefold run ${source}; or declare a stream to push events to`,
      });
    }
    // Somebody sends these, and can be refused; what is fetched has nobody, and is refused row by row.
    await this.get(source).refuseBlocked(rows);
    return this.get(source).push(rows, faults);
  }

  /** Throws `SOURCE_UNKNOWN`; `NOT_READY` for one that is being opened. */
  get(source: string): SourceRuntime {
    const runtime = this.#runtimes.get(source);
    if (runtime !== undefined) return runtime;
    this.#context.registry.source(source);
    throw new OnefoldError("NOT_READY", `source ${source} is being opened`, {
      where: source,
      hint: "try again in a moment",
    });
  }

  /** Throws `NOT_READY` for a view that is not folded yet, `FEATURE_NOT_ONLINE` for one that never will be. */
  view(compiled: CatalogView): RunningView {
    const { definition, entity, source, fold } = compiled;
    const name = formatViewName(definition);
    refuseNotRun(compiled);
    const runtime = this.get(source.name);
    const runner = runtime.runner(compiled.name);
    // What runs under a draft's name may still be what the draft was before.
    const isOther =
      definition.version === "dev" && historyPlace(this.#online, compiled)?.fingerprint !== compiled.fingerprint;
    if (runner === undefined || isOther) {
      throw new OnefoldError("NOT_READY", `view ${name} is being built`, {
        where: name,
        hint: "try again when GET /ready no longer lists it as being built",
      });
    }
    return {
      definition,
      entity,
      source,
      fold,
      get epoch() {
        return runner.epoch;
      },
      state: (key) => runner.state(key),
      changes: runner.changes,
      fallback: this.stale.of(compiled.name),
      storedPosition: () => runner.position,
      storedStates: () => runner.storedStates(),
    };
  }

  /** Views whose states are in the online store as they are in memory, or in a commit under way, with their positions. */
  flushedViews(): (readonly [view: string, position: number])[] {
    return [...this.#runtimes.values()].flatMap((runtime) => runtime.flushedViews());
  }

  /** Of a view's stored states; null where it is not run. */
  stateBytes(view: string): number | null {
    for (const runtime of this.#runtimes.values()) {
      const runner = runtime.runner(view);
      if (runner !== undefined) return runner.totals.bytes;
    }
    return null;
  }

  /** Of each source, by its name. */
  freshness(): ReadonlyMap<string, RuntimeFreshness> {
    return new Map(Array.from(this.#runtimes.values(), (runtime) => [runtime.name, runtime.freshness()]));
  }

  gauges(): readonly SourceGauges[] {
    return Array.from(this.#runtimes.values(), (runtime) => {
      const { name } = runtime;
      return { ...runtime.gauges(), poll: this.#polls.gauges(name), batch: this.#batches.gauges(name) };
    });
  }

  /** A view that is being built holds nothing else up: what was served before goes on being served. */
  readiness(): {
    readonly ready: boolean;
    readonly waitingFor: readonly string[];
    readonly warnings: readonly string[];
    readonly building: readonly string[];
  } {
    const troubles = [...this.#runtimes.values()].flatMap(({ trouble }) => (trouble === null ? [] : [trouble]));
    const waitingFor = [...this.#waitingFor, ...troubles];
    const building = [...this.#runtimes.values()].flatMap((runtime) => runtime.building);
    const warnings = [...this.#runtimes.values()].flatMap(({ name, refusedTable, waitsFor }) => {
      const error = waitsFor ?? refusedTable;
      if (error === null) return [];
      const { code, message, where = "" } = error;
      const what = waitsFor === null ? "is refused" : "is refused, and the source takes no events,";
      return [`an offline table of source ${name} ${what} until it is restored: ${code}: ${message} ${where}`.trim()];
    });
    return { ready: waitingFor.length === 0, waitingFor, warnings, building };
  }

  /** All, even if one fails; then throws the first failure. */
  async settle(): Promise<void> {
    const results = await Promise.allSettled([...this.#runtimes.values()].map((runtime) => runtime.settle()));
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  /** Closes all, even if one fails; then throws the first failure. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([this.#polls.close(), this.#batches.close()]);
    const closing = [...this.#runtimes.values()];
    const results = await Promise.allSettled(closing.map((runtime) => runtime.close()));
    // It has ended what it builds, and may have opened a source meanwhile.
    await this.#refreshing.catch(() => undefined);
    const late = [...this.#runtimes.values()].filter((runtime) => !closing.includes(runtime));
    results.push(...(await Promise.allSettled(late.map((runtime) => runtime.close()))));
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }
}
