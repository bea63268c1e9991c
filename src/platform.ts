/**
 * The composition root: opens the stores of a data folder, starts a pipeline for each source, and hands
 * ingest, training and serving what they need of each other. The only place that picks concrete stores.
 *
 *     <data>/registry  log/<source>  online  offline/events  offline/features  serving-log  dead-letters  lock
 */
import { mkdir } from "node:fs/promises";
import { type Clock, systemClock } from "./base/clock.ts";
import type { Definition } from "./define/definition.ts";
import { serviceId } from "./define/service-version.ts";
import type { Correction, CorrectionResult } from "./ingest/corrections.ts";
import type { BackfillCost } from "./ingest/backfill-cost.ts";
import type { RunOptions } from "./ingest/batch/batch-reader.ts";
import type { BatchRun } from "./ingest/batch/batch-state.ts";
import { lockFolder } from "./base/folder-lock.ts";
import type { PushResult } from "./ingest/pipeline.ts";
import type { FreshnessReport } from "./monitor/freshness/report.ts";
import type { MetricValues } from "./monitor/metrics/prometheus.ts";
import type { BatchReads } from "./platform/batch-reads.ts";
import { refuseMissing } from "./platform/data-folder.ts";
import { DeadLetterDesk } from "./platform/dead-letter-desk.ts";
import { markFormat, refuseOtherFormat } from "./platform/folder-format.ts";
import { forgetOwned, type ForgetOptions, type ForgetReport } from "./platform/forget/forget-entity.ts";
import type { ForgetPreview } from "./platform/forget/forget-places.ts";
import { type ForgetPreviewOptions, previewOwned } from "./platform/forget/preview-entity.ts";
import type { FreshnessOptions } from "./platform/monitoring/freshness-watch.ts";
import type {
  AuditOptions,
  AuditReport,
  BackfilledView,
  BackfillOptions,
  FitOptions,
  LeakageOptions,
  PlatformOptions,
  ServiceVectorOptions,
  TrainOptions,
  VectorAnswer,
  VectorOptions,
} from "./platform/platform-options.ts";
import { costOfBackfill } from "./platform/backfilled-view.ts";
import { materialize, type MaterializeOptions, type MaterializeReport } from "./platform/materialized-view.ts";
import type { StandingChecks } from "./platform/monitoring/standing-checks.ts";
import { desksOf } from "./platform/monitoring/monitoring.ts";
import { offlineRows } from "./platform/offline-rows.ts";
import type { Owned, Shared } from "./platform/platform-parts.ts";
import { previewedView, previewRequest, type PreviewOptions } from "./platform/previewed-view.ts";
import { labelOrTickRequest, labelRequest } from "./platform/label-options.ts";
import type { DriftDesk } from "./platform/monitoring/drift-desk.ts";
import type { ImportOptions, ImportReport, RuntimeContext } from "./platform/runtime-context.ts";
import type { ExperimentDesk, VersionDesk } from "./platform/open-desks.ts";
import { openContext } from "./platform/open-context.ts";
import { openOwned } from "./platform/open-owned.ts";
import { openRegistry } from "./platform/open-registry.ts";
import { type ApplyOptions, Registrations } from "./platform/registrations.ts";
import { auditServed } from "./platform/served-audit.ts";
import { auditAllStates } from "./platform/state-audit.ts";
import { TableDesk } from "./platform/table-desk.ts";
import { Wiring } from "./platform/wiring.ts";
import type { WorkersOptions, WorkerServer } from "./platform/workers/worker-server.ts";
import type { FittedService } from "./registry/fitted-service.ts";
import type { Plan, PlannedChange, Registry } from "./registry/registry.ts";
import type { Value } from "./schema/value.ts";
import type { HttpOptions, HttpServer } from "./serve/http.ts";
import type { MonitoringDesks } from "./serve/monitoring-desks.ts";
import type { RespOptions, RespServer } from "./serve/resp/server.ts";
import { fitService } from "./training/fit-service.ts";
import { explain, type Explanation, type ExplainRequest } from "./training/explain.ts";
import { explainLeakage, type LeakageReport } from "./training/leakage.ts";
import { preview, type Preview } from "./training/preview.ts";
import { train, type TrainingSet } from "./training/training-set.ts";

/**
 * Opens a data folder. Throws `DATA_FOLDER_MISSING`, `DATA_FOLDER_FORMAT`, `STORAGE_LOCKED`, `STORAGE_FAILED`,
 * `LOG_CORRUPT`, and of a registry in a database `REGISTRY_UNREACHABLE`, `REGISTRY_DENIED`, `REGISTRY_TOO_NEW`, `REGISTRY_MISMATCH`.
 */
export async function openPlatform(options: PlatformOptions): Promise<Platform> {
  const { dataDir, mode = "own", clock = systemClock } = options;
  const { create = mode === "own" } = options;
  if (!create && (mode === "own" || options.registry === undefined)) refuseMissing(dataDir);
  await refuseOtherFormat(dataDir);
  if (mode === "own") await mkdir(dataDir, { recursive: true });
  const closers: (() => Promise<void>)[] = [];
  try {
    if (mode === "own") {
      const lock = await lockFolder(dataDir);
      closers.push(() => lock.release());
      await markFormat(dataDir);
    }
    const opened = await openRegistry(dataDir, options.registry, { clock, reader: mode === "read" });
    const { registry } = opened;
    closers.push(() => registry.close());
    registry.attachCode(await Registrations.loaded(options.definitions ?? []));
    const { context, onServing } = await openContext(options, clock, opened, closers);
    const shared: Shared = {
      ...opened,
      code: options.definitions ?? [],
      onTrouble: options.onRegistryTrouble ?? (() => {}),
      onServing,
    };
    if (mode === "read") return new Platform(context, shared, null, closers);
    const owned = await openOwned(options, context, { jobsFolder: opened.folder, closers });
    return new Platform(context, shared, owned, closers);
  } catch (error) {
    for (const close of closers.reverse()) await close().catch(() => undefined);
    throw error;
  }
}

export class Platform {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly dataDir: string;
  /** The offline tables, and their upkeep; those of workers where `workerTables` were named. */
  readonly tables: TableDesk;
  /** Whole files at a time: a view's values of all entities, vectors of the entities that a file names. */
  readonly batch: BatchReads;
  /** Expectations, profiles and the audit as a standing job (docs/quality.md). */
  readonly checks: StandingChecks;
  /** Drift of what is served, against what was (docs/drift.md). */
  readonly drift: DriftDesk;
  /** What runs, ramps and stops (docs/experiments.md). */
  readonly experiments: ExperimentDesk;
  /** Promotes, rolls back and retires (docs/versions.md). */
  readonly versions: VersionDesk;
  readonly #context: RuntimeContext;
  readonly #shared: Shared;
  readonly #owned: Owned | null;
  readonly #wiring: Wiring;

  /** Use `openPlatform`. */
  constructor(context: RuntimeContext, shared: Shared, owned: Owned | null, closers: (() => Promise<void>)[]) {
    this.#context = context;
    this.#shared = shared;
    this.#owned = owned;
    this.#wiring = new Wiring(context, shared, owned, closers);
    this.registry = context.registry;
    this.clock = context.clock;
    this.dataDir = context.dataDir;
    this.tables = new TableDesk(context);
    this.batch = this.#wiring.batch;
    this.checks = this.#wiring.checks;
    this.drift = this.#wiring.drift;
    this.experiments = this.#wiring.experiments;
    this.versions = this.#wiring.versions;
  }

  /** What `apply` would change. */
  plan(definitions: readonly Definition[]): Plan {
    const plan = this.registry.plan(definitions);
    this.#context.catalog.check(definitions);
    return plan;
  }

  /**
   * Registers definitions and starts their views; a new view on a source with history is built from all of it
   * before this resolves. Throws `DEFINITION_CHANGED`, `DEFINITION_INVALID`, `PLAN_STALE`: then nothing is registered.
   */
  async apply(definitions: readonly Definition[], options: ApplyOptions = {}): Promise<Plan> {
    // One that owns no data folder registers what those that do will build.
    if (!this.#shared.isShared) this.#wiring.own("apply");
    return this.#wiring.registrations.apply(definitions, options);
  }

  /**
   * Drops the draft `name@dev` with its states. Numbered versions stay for ever. Throws `VIEW_UNKNOWN`, and
   * `DEFINITION_INVALID` where another definition is computed from it.
   */
  async dropDraft(name: string): Promise<PlannedChange> {
    if (!this.#shared.isShared) this.#wiring.own("drop a draft");
    return this.#wiring.registrations.dropDraft(name);
  }

  /** Takes rows in; resolves once they are durable and folded. Throws `SOURCE_UNKNOWN`, `SOURCE_IS_BATCH`, `BACKPRESSURE`, `STORAGE_FAILED`. */
  async push(source: string, rows: readonly unknown[]): Promise<PushResult> {
    return this.#wiring.own("push", "push to its server: POST /events/{source}").sources.push(source, rows);
  }

  /** Reads what a batch source has that is new, now. Throws as `BatchReader.run`, and `SOURCE_UNKNOWN`. */
  async runBatch(source: string, options: RunOptions = {}): Promise<BatchRun> {
    return this.#wiring
      .own("read a batch source", "ask it of its server: onefold run does")
      .sources.runBatch(source, options);
  }

  /** Takes events back, or others in their place, by id (docs/events.md). */
  async correct(source: string, corrections: readonly Correction[]): Promise<CorrectionResult> {
    return this.#wiring
      .own("correct", "correct at its server: onefold correct does")
      .sources.get(source)
      .correct(corrections);
  }

  /**
   * Removes all that is kept of an entity (docs/forgetting.md); `shared`: also where others are folded from its events. Throws
   * `ENTITY_UNKNOWN`, `FORGET_SHARED`, `KEY_MISSING`.
   */
  async forget(entity: string, key: readonly unknown[], options: ForgetOptions = {}): Promise<ForgetReport> {
    const { shared: isShared = false, exceptKafka = false } = options;
    const { sources, monitoring, shadows } = this.#wiring.own("forget");
    const settle = (): Promise<void> => this.settle();
    const forgetMonitored = async (): Promise<void> => {
      await Promise.all([monitoring.forgetDetails(), shadows.forget()]);
      await this.drift.forget(entity);
    };
    return this.checks.undisturbed(() =>
      forgetOwned(this.#context, sources, { entity, parts: key, isShared, exceptKafka, settle, forgetMonitored }),
    );
  }

  /** What `forget` would remove, and where: it throws as that does, and changes nothing. */
  async previewForgetting(
    entity: string,
    key: readonly unknown[],
    options: ForgetPreviewOptions = {},
  ): Promise<ForgetPreview> {
    return previewOwned(this.#context, this.#wiring.own("forget").sources, { entity, parts: key, ...options });
  }

  /** Imports files (Parquet, CSV, NDJSON) as history in front of the live log, all or nothing. */
  async importHistory(source: string, files: readonly string[], options: ImportOptions = {}): Promise<ImportReport> {
    return this.#wiring.own("import history").sources.get(source).importHistory(files, options);
  }

  /** A service's vector, as `POST /services/{name}/vector` answers it. */
  async vector(
    service: string,
    entities: Readonly<Record<string, unknown>>,
    options: ServiceVectorOptions = {},
  ): Promise<VectorAnswer> {
    const answer = await this.request("POST", `/services/${encodeURIComponent(service)}/vector`, {
      entities,
      ...options,
    });
    return answer as unknown as VectorAnswer;
  }

  /** Features of one entity by name (all of them without names), as `POST /features` answers it. */
  async features(
    entityType: string,
    entityId: unknown,
    featureNames?: readonly string[],
    options: VectorOptions = {},
  ): Promise<VectorAnswer> {
    const named = featureNames === undefined ? {} : { feature_names: featureNames };
    const body = { entity_type: entityType, entity_id: entityId, ...named, ...options };
    return (await this.request("POST", "/features", body)) as unknown as VectorAnswer;
  }

  /** Any HTTP route, without a network: the answer's body, or the error thrown. */
  request(method: "GET" | "POST", path: string, body?: unknown): Promise<Readonly<Record<string, unknown>>> {
    return this.#wiring.call(method, path, body);
  }

  /** Joins label rows with the features of a service, or of several, point in time. Errors as in `train` of `training/training-set.ts`. */
  train(options: TrainOptions): Promise<TrainingSet> {
    return train({ ...labelOrTickRequest(options), ports: this.#wiring.trainingPorts });
  }

  /** What final knowledge would have changed in a training set; `out` is written as known. Errors as in `train`. */
  explainLeakage(options: LeakageOptions): Promise<LeakageReport> {
    return explainLeakage({ ...labelOrTickRequest(options), ports: this.#wiring.trainingPorts });
  }

  /**
   * Fits a service's transformations to the train split of label rows, and stores that under the next version,
   * which is served from then on. Errors as in `fitService` of `training/fit-service.ts`.
   */
  async fit(options: FitOptions): Promise<FittedService> {
    const fitted = await fitService({ ...labelRequest(options), ports: this.#wiring.trainingPorts });
    await this.#wiring.changed();
    return fitted;
  }

  /** The fits of a service, oldest first. Throws `SERVICE_UNKNOWN`, `FIT_CORRUPT`. */
  fits(service: string): readonly FittedService[] {
    return this.#context.fits.fitsOf(serviceId(this.registry.service(service).definition));
  }

  /** Computes served vectors (and, on request, stored states) again from the log and compares bit for bit. */
  async audit(options: AuditOptions = {}): Promise<AuditReport> {
    // Refused at the start, rather than when all vectors are compared.
    const owned = options.states === true ? this.#wiring.own(AUDIT_STATES, "compare served vectors alone") : null;
    await this.settle();
    const result = await auditServed(this.dataDir, this.#wiring.trainingPorts, options);
    if (owned === null) return result;
    const states = await auditAllStates(this.#context, owned, this.#wiring.trainingPorts, options);
    return { ...result, states, clean: result.clean && Object.values(states).every((one) => one.clean) };
  }

  /** Which events counted for a feature's value, and why the others did not. */
  explain(options: Omit<ExplainRequest, "ports">): Promise<Explanation> {
    return explain({ ...options, ports: this.#wiring.trainingPorts });
  }

  /** Values of a view on a sample of history; looked for among `definitions` first. Throws `VIEW_UNKNOWN`, `DEFINITION_INVALID`. */
  preview(options: PreviewOptions): Promise<Preview> {
    return preview({ ports: this.#wiring.trainingPorts, ...previewRequest(options, this.registry) });
  }

  /**
   * Computes a view's states anew from all history and the log, beside the ones that are served, and goes on from them
   * at an exact position. Cut short, it goes on when the folder is opened again. Throws `VIEW_UNKNOWN`, `CANCELLED`.
   */
  async backfill(view: BackfilledView, options: BackfillOptions = {}): Promise<void> {
    const { sources } = this.#wiring.own("backfill", "ask it of its server: onefold backfill does");
    const { name, source } = this.#context.catalog.view(view.name, view.version);
    await sources.get(source.name).backfill(name, options.onProgress, options.signal);
  }

  /** Writes the feature rows of past minutes that a view's table lacks. Throws as `materialize` of `platform/materialized-view.ts`. */
  materialize(options: MaterializeOptions): Promise<MaterializeReport> {
    return materialize(this.#context, this.#wiring.own("materialize", "ask it of its server").sources, options);
  }

  /**
   * What computing a view from history will take, by a count of its events and a trial on some of its entities;
   * registered or not: it is looked for among `definitions` first. Throws `VIEW_UNKNOWN`, `DEFINITION_INVALID`.
   */
  async backfillCost(options: Pick<PreviewOptions, "view" | "version" | "definitions">): Promise<BackfillCost> {
    const ports = { ...this.#wiring.trainingPorts, openEngine: this.#context.openEngineBeside };
    return costOfBackfill(previewedView(options, this.registry), ports);
  }

  /** How fresh sources and views are, and whether that is as they promise (docs/monitoring.md). */
  freshness(options: FreshnessOptions = {}): Promise<FreshnessReport> {
    return this.#wiring.own("judge freshness", "ask its server: GET /freshness").freshness.report(options);
  }

  /** What watches what this process serves: its alerts, and what models report. Nothing of it where it owns no folder. */
  get monitoring(): MonitoringDesks {
    return this.#owned === null ? {} : desksOf(this.#owned.monitoring);
  }

  /** Rows that could not be used, with the reason: to list, and to push again once it is gone. */
  deadLetters(): DeadLetterDesk {
    return new DeadLetterDesk(this.#context, this.#owned?.sources ?? null);
  }

  /** Resolves once everything pushed and served so far is in the online store, the offline tables, the serving log and drift's windows. */
  settle(): Promise<void> {
    return this.#wiring.settle();
  }

  /** The stored states of a view, in key order, as of the last flush. */
  exportStates(
    view: string,
    version?: number | "dev",
  ): IterableIterator<{ readonly key: string; readonly bytes: Uint8Array }> {
    const { sources } = this.#wiring.own("export states");
    return sources.view(this.#context.catalog.view(view, version)).storedStates();
  }

  /** Rows of an offline table (`events/<source>`, `features/<view>@<version>`), ordered by the named columns. */
  offlineRows(table: string, orderBy?: string): Promise<readonly Record<string, Value>[]> {
    return offlineRows(this.#context, table, orderBy);
  }

  /** Serves HTTP until closed, and counts and measures from then on. Throws `LISTEN_FAILED`. */
  async serve(options: HttpOptions = {}): Promise<HttpServer> {
    await this.#wiring.beginServing();
    return (await import("./serve/http.ts")).openHttpServer(this.#wiring.reader, this.#wiring.servePorts, options);
  }

  /** Serves the Redis protocol until closed (docs/resp.md), beside HTTP or without it. Throws `LISTEN_FAILED`. */
  async serveResp(options: RespOptions = {}): Promise<RespServer> {
    await this.#wiring.beginServing();
    return this.#wiring.respDoors.open(this.#wiring.reader, this.#wiring.servePorts, options);
  }

  /**
   * Serves from worker processes until closed; this one takes in events and folds. A worker answers from what the
   * online store has, which is behind by up to 50 ms and the time that a write takes.
   * Throws `LISTEN_FAILED`, `WORKERS_FAILED`, and what a worker fails with at its start.
   */
  async serveWorkers(options: WorkersOptions): Promise<WorkerServer> {
    await this.#wiring.beginServing();
    return this.#wiring.workers!.open(options);
  }

  /** What all its processes have counted and measured: what `GET /metrics` has, as data. */
  measured(): Promise<MetricValues> {
    return this.#wiring.workers?.measured() ?? this.#wiring.metrics.values();
  }

  /** Asks the APIs of polled sources from now on, as serving does by itself, unless `poll` is false. */
  startPolls(): void {
    this.#wiring.own("poll", "its owner polls while it serves").sources.startPolls();
  }

  /** Flushes and lets go of everything. */
  close(): Promise<void> {
    return this.#wiring.close();
  }
}

const AUDIT_STATES = "audit stored states, which change while they are compared";

export type { BackfillCost } from "./ingest/backfill-cost.ts";
export { openLocalEvents, openSampleKeeper, readRows } from "./platform/no-folder.ts";
