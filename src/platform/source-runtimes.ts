/**
 * The running sources of a data folder, one for each registered stream.
 */
import { OnefoldError } from "../base/errors.ts";
import { formatViewName } from "../define/definition.ts";
import type { SourceGauges } from "../monitor/metrics.ts";
import type { LocalOnlineStore } from "../online-store/online-store.ts";
import type { ServedView } from "../serve/ports.ts";
import { refuseNotRun } from "./not-run.ts";
import { forgetStaleDrafts, historyPlace } from "./view-builder.ts";
import type { CatalogView } from "./view-catalog.ts";
import type { OnProgress, RuntimeContext } from "./runtime-context.ts";
import { SourceRuntime } from "./source-runtime.ts";
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
  readonly #polls: SourcePolls;

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
  }

  /** Opens all registered streams: recovers their logs, folds what no commit holds yet. */
  static async open(context: RuntimeContext, online: LocalOnlineStore): Promise<SourceRuntimes> {
    const runtimes = new SourceRuntimes(context, online);
    try {
      await runtimes.refresh();
      return runtimes;
    } catch (error) {
      await runtimes.close().catch(() => undefined);
      throw error;
    }
  }

  /** Starts what the registry has gained: sources, columns of sources, views; and lets go of drafts that it lost. */
  async refresh(onProgress?: OnProgress): Promise<void> {
    await this.#retireDrafts();
    this.#context.stateMemory.viewCount = this.#context.registry
      .views()
      .filter(({ definition }) => definition.online || definition.offline).length;
    for (const { definition } of this.#context.registry.sources()) {
      if (definition.kind !== "stream") continue;
      const { name } = definition;
      this.#waitingFor.add(`source ${name}`);
      const running = this.#runtimes.get(name);
      if (running === undefined) {
        this.#runtimes.set(name, await SourceRuntime.open(this.#context, this.#online, definition, onProgress));
      } else await running.refresh(definition, onProgress);
      this.#waitingFor.delete(`source ${name}`);
    }
    await this.#polls.refresh();
  }

  /** Asks the APIs of polled sources from now on; a second call does nothing. */
  startPolls(): void {
    this.#polls.start();
  }

  /** Everywhere first, and only then are any built: a draft may have moved from one source to another. */
  async #retireDrafts(): Promise<void> {
    for (const runtime of this.#runtimes.values()) await runtime.retireDrafts();
    const fingerprints = new Map(
      this.#context.registry
        .views()
        .filter(({ definition }) => definition.online || definition.offline)
        .map(({ definition, fingerprint }) => [formatViewName(definition), fingerprint]),
    );
    await forgetStaleDrafts(this.#online, (view, fingerprint) => fingerprints.get(view) === fingerprint);
  }

  /** Throws `SOURCE_UNKNOWN`; `NOT_READY` for one that is being opened, `SOURCE_IS_BATCH` for one that is no stream. */
  get(source: string): SourceRuntime {
    const runtime = this.#runtimes.get(source);
    if (runtime !== undefined) return runtime;
    const { definition } = this.#context.registry.source(source);
    if (definition.kind === "batch") {
      throw new OnefoldError("SOURCE_IS_BATCH", `source ${source} is a batch source, which is not read yet`, {
        where: source,
        hint: "declare it as a stream to push events or import files",
      });
    }
    throw new OnefoldError("NOT_READY", `source ${source} is being opened`, {
      where: source,
      hint: "try again in a moment",
    });
  }

  /** Throws `NOT_READY` for a view that is not folded yet, `VIEW_NOT_RUN` and `FEATURE_NOT_ONLINE` for one that never will be. */
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
        hint: "try again when GET /ready says so",
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
      storedPosition: () => runner.position,
      storedStates: () => runner.storedStates(),
    };
  }

  /** Views whose states are in the online store as they are in memory, or in a commit under way, with their positions. */
  flushedViews(): (readonly [view: string, position: number])[] {
    return [...this.#runtimes.values()].flatMap((runtime) => runtime.flushedViews());
  }

  gauges(): readonly SourceGauges[] {
    return Array.from(this.#runtimes.values(), (runtime) => {
      return { ...runtime.gauges(), poll: this.#polls.gauges(runtime.name) };
    });
  }

  readiness(): { readonly ready: boolean; readonly waitingFor: readonly string[] } {
    const failed = [...this.#runtimes.values()].filter((runtime) => runtime.failure !== null);
    const waitingFor = [
      ...this.#waitingFor,
      ...[...this.#runtimes.values()].flatMap((runtime) => runtime.building),
      ...failed.map((runtime) => `source ${runtime.name}, which stopped: ${runtime.failure!.message}`),
    ];
    return { ready: waitingFor.length === 0, waitingFor };
  }

  async settle(): Promise<void> {
    await Promise.all([...this.#runtimes.values()].map((runtime) => runtime.settle()));
  }

  /** Closes all, even if one fails; then throws the first failure. */
  async close(): Promise<void> {
    await this.#polls.close();
    const results = await Promise.allSettled([...this.#runtimes.values()].map((runtime) => runtime.close()));
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }
}
