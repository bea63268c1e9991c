/**
 * A training set: label rows joined point-in-time with a service's features.
 *
 * The engine reads, sorts and writes; every value comes out of the views' own fold (see `point-in-time-join.ts`)
 * and the program that serving runs (see `computed-columns.ts`).
 */
import { OnefoldError } from "../base/errors.ts";
import { formatMicros } from "../base/micros.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import { formatType } from "../schema/value.ts";
import type { VectorToken } from "../schema/vector-token.ts";
import { computeColumns, readLabelTimes } from "./computed-columns.ts";
import { FeatureColumn } from "./feature-columns.ts";
import { readTokens } from "./label-runs.ts";
import type { FeatureParts } from "./feature-parts.ts";
import { PartSink } from "./part-sink.ts";
import { columnSink, defaultThreads, replayPasses } from "./replay-passes.ts";
import { chunksOfParts, NO_STATUSES, StatusCounts } from "./set-chunks.ts";
import { engineSettings, isHeld, type TrainLimits, withParts, workOf } from "./train-limits.ts";
import { WrittenSet } from "./written-set.ts";
import { afterLogError, flagTimesAfterLog, formatLogEnd, snapshotLogs } from "./log-end.ts";
import { type GeneratedSpineRequest, withGeneratedSpine } from "./generated-spine.ts";
import type { Knowledge, SplitPart, TrainingManifest } from "./manifest.ts";
import type { TrainingPorts } from "./ports.ts";
import { throwIfCancelled, type ReplayResult } from "./replay-view.ts";
import { planService, type ServicePlan } from "./service-plan.ts";
import { readRequestColumns } from "./request-columns.ts";
import { readTrainRows, type TrainSplit } from "./train-split.ts";
import { planServedFits, type ServedRows } from "./served-fits.ts";
import { readSpine, type Spine, type SpineRequest } from "./spine.ts";
import { addSplitColumn, type TimeSplit } from "./time-split.ts";
import {
  addedColumns,
  checkOutput,
  trainingFormatOf,
  writeTrainingFile,
  type TrainingFormat,
} from "./training-set-file.ts";
import { planServedRows, planTimedRows, type ViewPass } from "./view-passes.ts";

export interface TrainingProgress {
  readonly phase: "labels" | "sorting" | "events" | "writing";
  /** `view@version`, in the phases "sorting" and "events". */
  readonly view?: string;
  /** Label rows; percent of the view's events in phase "sorting". */
  readonly done: number;
  readonly total: number;
}

export interface TrainRequest extends TrainLimits {
  readonly ports: TrainingPorts;
  readonly service: string;
  readonly labels: SpineRequest | GeneratedSpineRequest;
  /** Where to write; without it the columns are only returned. */
  readonly out?: string;
  /** By the ending of `out` where it is not given. */
  readonly format?: TrainingFormat;
  /** Default "as-known". */
  readonly knowledge?: Knowledge;
  /** Whether a label at `t` sees events of exactly `t`; needed only where there are such events. */
  readonly boundary?: "inclusive" | "exclusive";
  /**
   * Version of the fit to transform with, and the definition it is of. Default: the newest of the present one; as
   * served, for rows whose token carries a fit, that one.
   */
  readonly fit?: number;
  /** Also says which rows are for training. */
  readonly split?: TrainSplit;
  /** Adds a column `split` behind the label columns: which part of the rows by time each one is in. */
  readonly timeSplit?: TimeSplit;
  /** Adds a column `<feature>__status` for each feature. */
  readonly withStatuses?: boolean;
  /** Keeps labels after the log's end, and flags them in a column `after_log_end`. */
  readonly allowAfterLog?: boolean;
  /**
   * Threads that fold: the training set is the same to the byte at any number. Default: one a core for much work, none
   * beside this one for little. Views with functions of their own are folded by this thread.
   */
  readonly threads?: number;
  readonly onProgress?: (progress: TrainingProgress) => void;
  readonly signal?: AbortSignal;
}

export interface TrainingSet {
  readonly rowCount: number;
  /**
   * One a feature, in the order of the vector; slot `i` belongs to label row `i` in input order. Of a set that was too
   * large to be held, or written with `resume`, this throws `REQUEST_INVALID`: read `out`.
   */
  readonly columns: readonly FeatureColumn[];
  readonly manifest: TrainingManifest;
  readonly out: string | null;
  /** Rows of the split, ascending; null where none was asked for. */
  readonly trainRows: Int32Array | null;
}

/**
 * Builds a training set. Every label row comes back once, in input order, with nulls (or a feature's
 * default) where nothing was known. Throws `SPINE_INVALID`, `SPINE_AMBIGUOUS_TIME`, `SPINE_AFTER_LOG`,
 * `FILE_UNREADABLE`, `TOKEN_INVALID`, `EPOCH_UNKNOWN`, `CANCELLED` and what `planService` throws; on any of them nothing is written.
 */
export async function train(request: TrainRequest): Promise<TrainingSet> {
  const plan = planService(request.ports, request.service, request.fit);
  return withLabels(request, plan, (labelled) => trainPlan(labelled, plan, request.fit === undefined));
}

/** A request whose label rows stand in a file. */
export interface LabelledRequest extends TrainRequest {
  readonly labels: SpineRequest;
}

/** Lends `work` the request with label rows in a file, generated where it is said how. */
export async function withLabels<R extends Omit<TrainRequest, "labels">, T>(
  request: R & Pick<TrainRequest, "labels">,
  plan: ServicePlan,
  work: (request: R & { readonly labels: SpineRequest }) => Promise<T>,
): Promise<T> {
  const { labels } = request;
  if ("path" in labels) return work({ ...request, labels });
  if (request.knowledge === "as-served") {
    throw new OnefoldError("REQUEST_INVALID", "generated label rows have no tokens, which rows as served need");
  }
  // No label is made from an event at its tick, so there is nothing to ask.
  const { boundary = "inclusive" } = request;
  return withGeneratedSpine(request.ports, plan, labels, boundary === "inclusive", (generated) =>
    work({ ...request, boundary, labels: generated }),
  );
}

/** The same of a plan that was made already; `byServedFits`: rows that carry the fit they were served with by that. */
export async function trainPlan(
  request: LabelledRequest,
  plan: ServicePlan,
  byServedFits: boolean,
): Promise<TrainingSet> {
  const { ports, signal } = request;
  const format = request.out === undefined ? null : (request.format ?? trainingFormatOf(request.out));
  const engine = await ports.openEngine(engineSettings(request));
  const onAbort = (): void => engine.interrupt();
  signal?.addEventListener("abort", onAbort);
  try {
    return await trainWith(engine, plan, byServedFits, format, request);
  } catch (error) {
    if (signal?.aborted === true)
      throw new OnefoldError("CANCELLED", "the training set was cancelled", { cause: error });
    throw error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
    await engine.close();
  }
}

async function trainWith(
  engine: QueryEngine,
  servicePlan: ServicePlan,
  byServedFits: boolean,
  format: TrainingFormat | null,
  request: LabelledRequest,
): Promise<TrainingSet> {
  const { ports, out, onProgress, signal } = request;
  const knowledge = request.knowledge ?? "as-known";
  onProgress?.({ phase: "labels", done: 0, total: 0 });
  const { program } = servicePlan;
  const featureNames = program.outputs.map((output) => output.name);
  const needs = knowledge === "as-served" ? "token" : "time";
  const read = await readSpine(engine, request.labels, servicePlan.entities, needs, program.request);
  const { spine, parts: splits } = await splitByTime(engine, read, request, knowledge);
  const total = spine.rowCount;
  onProgress?.({ phase: "labels", done: total, total });
  throwIfCancelled(signal);
  const withStatuses = request.withStatuses ?? false;
  const flagAfterLog = request.allowAfterLog ?? false;
  if (out !== undefined) await checkOutput(out, spine, addedColumns(featureNames, withStatuses, flagAfterLog));
  const tokens = knowledge === "as-served" ? await readTokens(engine, spine) : null;
  const trainRows = request.split === undefined ? null : await readTrainRows(engine, spine, request.split, tokens);
  const requestColumns = await readRequestColumns(engine, spine, program.request);

  const served = tokens === null ? null : servedRows(ports, servicePlan, tokens, byServedFits, spine);
  const plan = served?.plan ?? servicePlan;
  const snapshots = await snapshotLogs(ports, plan);
  const afterLog = new Uint8Array(total);
  const passes =
    knowledge === "as-served"
      ? await planServedRows(engine, ports, spine, served!, snapshots, afterLog)
      : await planTimedRows(engine, spine, plan, snapshots, knowledge, request.boundary ?? "inclusive");
  if (knowledge !== "as-served") await flagTimesAfterLog(engine, snapshots, afterLog);
  const rowsAfterLog = afterLog.reduce((sum, flag) => sum + flag, 0);
  if (rowsAfterLog > 0 && !flagAfterLog) throw afterLogError(rowsAfterLog, total, snapshots);

  const isPlain = plan.programs.length === 1 && program.isPlain;
  const build = async (parts: FeatureParts | null): Promise<TrainingSet> => {
    const inputs = parts === null ? inputColumns(plan, isPlain, total) : [];
    const results = new Map<string, ReplayResult & { epochs: number[] }>();
    for await (const { pass, result } of replayPasses({
      engine,
      passes,
      sinkOf: async (pass, index) =>
        parts === null ? columnSink(pass, inputs) : PartSink.open(engine, parts, pass, index),
      threads: request.threads ?? defaultThreads(passes),
      onProgress: (view, done, of) => onProgress?.({ phase: "events", view, done, total: of }),
      onSorting: (view, done) => onProgress?.({ phase: "sorting", view, done, total: 100 }),
      ...(signal === undefined ? {} : { signal }),
    })) {
      throwIfCancelled(signal);
      if (request.boundary === undefined && knowledge !== "as-served")
        refuseCoincidence(result, pass, total, knowledge);
      const before = results.get(pass.view.name);
      results.set(pass.view.name, {
        eventsFolded: result.eventsFolded + (before?.eventsFolded ?? 0),
        eventsPoisoned: result.eventsPoisoned + (before?.eventsPoisoned ?? 0),
        firstPoison: before?.firstPoison ?? result.firstPoison,
        coincidentLabels: 0,
        epochs: [...(before?.epochs ?? []), pass.epoch],
      });
    }

    const asOf = isPlain ? null : await readLabelTimes(engine, spine, tokens);
    const cancel = signal === undefined ? {} : { signal };
    const columns =
      parts !== null
        ? null
        : asOf === null
          ? inputs
          : await computeColumns({
              programs: plan.programs.map(({ program: one, inputs: places }) => ({
                program: one,
                inputs: places.map((place) => inputs[place]!),
                request: one.request.map(({ name }) => requestColumns.find((column) => column.name === name)!),
              })),
              programOf: served?.programOf ?? null,
              asOf,
              ...cancel,
            });
    const statuses = new StatusCounts();
    if (columns !== null) statuses.add(columns);
    const fits = fitsOf(plan, served?.programOf ?? null, total);
    const manifestFor = (sha256: string | null): TrainingManifest => ({
      manifest: 1,
      created: formatMicros(ports.clock.now()),
      service: { name: plan.service, fingerprint: plan.fingerprint },
      views: plan.views.map(({ name, view }) => ({
        name: view.definition.name,
        version: view.definition.version,
        fingerprint: view.fingerprint,
        entity: view.entity.name,
        source: view.source.name,
        epochs: results.get(name)?.epochs ?? [],
        eventsFolded: results.get(name)?.eventsFolded ?? 0,
        eventsPoisoned: results.get(name)?.eventsPoisoned ?? 0,
      })),
      onDemandViews: plan.onDemand,
      fit: fits.length === 1 && fits[0]!.rows === total ? { version: fits[0]!.version, sha256: fits[0]!.sha256 } : null,
      fits,
      sources: [...snapshots].map(([name, { files, logEnd }]) => ({
        name,
        epoch: files.epoch,
        historyEnd: files.historyEnd,
        liveEnd: files.liveEnd,
        logEnd: formatLogEnd(logEnd),
      })),
      knowledge,
      boundary: knowledge === "as-served" ? null : (request.boundary ?? "inclusive"),
      spine: {
        path: spine.path,
        generated: request.labels.generated ?? null,
        sha256: spine.sha256,
        rows: total,
        timeColumn: spine.timeColumn,
        tokenColumn: spine.tokenColumn,
        requestColumns: program.request.map((column) => column.name),
        keyColumns: Object.fromEntries(plan.entities.map((entity, index) => [entity.name, spine.keyColumns[index]!])),
        rowsAfterLog,
      },
      splits,
      output: sha256 === null ? null : { path: out!, format: format!, rows: total, sha256 },
      features: program.outputs.map(({ name, from, feature, type }, i) => ({
        name,
        view: from,
        feature,
        type: formatType(type),
        statuses: statuses.counts[i] ?? NO_STATUSES,
      })),
    });
    if (out === undefined)
      return { rowCount: total, columns: columns!, manifest: manifestFor(null), out: null, trainRows };
    const chunks =
      columns !== null
        ? [{ from: 0, rowCount: total, columns }]
        : statuses.counted(
            chunksOfParts({ engine, parts: parts!, plan, request: requestColumns, asOf, rowCount: total, ...cancel }),
          );
    const manifest = await writeTrainingFile(
      {
        engine,
        path: out,
        format: format!,
        spine,
        request: requestColumns,
        outputs: program.outputs,
        chunks,
        withStatuses,
        afterLog: flagAfterLog ? afterLog : null,
        onProgress: (done) => onProgress?.({ phase: "writing", done, total }),
        ...(signal === undefined ? {} : { signal }),
      },
      manifestFor,
    );
    const set = { rowCount: total, manifest, out, trainRows };
    return columns === null ? new WrittenSet(set) : { ...set, columns };
  };
  if (out === undefined || tokens !== null || isHeld(request, plan, total)) return build(null);
  const work = workOf(plan, spine, snapshots, [knowledge, request.boundary ?? "inclusive"]);
  return withParts(engine, request, total, out, work, build);
}

/** One a feature of the views, all label rows unanswered. */
function inputColumns(plan: ServicePlan, isPlain: boolean, rowCount: number): FeatureColumn[] {
  const inputs: FeatureColumn[] = [];
  for (const { features } of plan.views) {
    for (const { input, feature, type, slot } of features) {
      const name = isPlain ? plan.program.outputs[input]!.name : feature;
      inputs[input] = new FeatureColumn(name, type, slot, rowCount);
    }
  }
  return inputs;
}

async function splitByTime(
  engine: QueryEngine,
  spine: Spine,
  { timeSplit }: TrainRequest,
  knowledge: Knowledge,
): Promise<{ readonly spine: Spine; readonly parts: readonly SplitPart[] | null }> {
  if (timeSplit === undefined) return { spine, parts: null };
  if (knowledge === "as-served")
    throw new OnefoldError("REQUEST_INVALID", "rows as served are not split by time: their times are in their tokens");
  return addSplitColumn(engine, spine, timeSplit);
}

/** Every row by the plan's own program, or by that of the fit that its token carries. */
function servedRows(
  ports: TrainingPorts,
  plan: ServicePlan,
  tokens: readonly VectorToken[],
  byServedFits: boolean,
  spine: Spine,
): ServedRows {
  if (byServedFits) return planServedFits(ports, plan, tokens, spine);
  return { plan, tokens, programOf: new Int32Array(tokens.length) };
}

/** The fits that rows were transformed with, by version. */
function fitsOf(plan: ServicePlan, programOf: Int32Array | null, rowCount: number): TrainingManifest["fits"] {
  const rows = plan.programs.map(() => 0);
  if (programOf === null) rows[0] = rowCount;
  else for (const place of programOf) rows[place]!++;
  const fits = plan.programs.flatMap(({ fit, fingerprint }, place) => {
    if (fit === null || (rows[place] === 0 && rowCount > 0)) return [];
    return [{ version: fit.version, sha256: fit.sha256, fingerprint, rows: rows[place]! }];
  });
  return fits.sort((a, b) => a.version - b.version);
}

function refuseCoincidence(result: ReplayResult, pass: ViewPass, total: number, knowledge: Knowledge): void {
  if (result.coincidentLabels === 0) return;
  const how = knowledge === "final" ? "took effect" : "became known";
  throw new OnefoldError(
    "SPINE_AMBIGUOUS_TIME",
    `${result.coincidentLabels} of ${total} label rows have the very time at which an event of their entity ${how}`,
    {
      where: `view ${pass.view.name}`,
      hint: "--exclusive leaves such events out (right where the label is made from that event), --inclusive lets them count",
    },
  );
}
