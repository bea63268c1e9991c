/**
 * A training set: label rows joined point-in-time with the features of a service, or of several.
 *
 * The engine reads, sorts and writes; every value comes out of the views' own fold (see `point-in-time-join.ts`)
 * and the program that serving runs (see `computed-columns.ts`).
 */
import { OnefoldError } from "../base/errors.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import type { ByService, ServiceChoice } from "./by-service.ts";
import { readLabelTimes } from "./computed-columns.ts";
import type { FeatureColumn } from "./feature-columns.ts";
import type { FeatureParts } from "./feature-parts.ts";
import { type GeneratedSpineRequest, withGeneratedSpine } from "./generated-spine.ts";
import { afterLogError, flagTimesAfterLog } from "./log-end.ts";
import type { Knowledge, SplitPart, TrainingManifest } from "./manifest.ts";
import { PartSink } from "./part-sink.ts";
import type { TrainingPorts } from "./ports.ts";
import { columnSink, defaultThreads, replayPasses } from "./replay-passes.ts";
import type { ReplayResult } from "./replay-view.ts";
import { throwIfCancelled } from "../base/cancelled.ts";
import { readRequestColumns } from "./request-columns.ts";
import { groupServedRows, groupTimedRows } from "./row-groups.ts";
import {
  chunksOfParts,
  ColumnCounts,
  computesMore,
  inputColumns,
  serviceColumns,
  type SetChunk,
} from "./set-chunks.ts";
import { manifestOf, ViewResults } from "./set-manifest.ts";
import { readSpine, type Spine, type SpineRequest } from "./spine.ts";
import { addSplitColumn, type TimeSplit } from "./time-split.ts";
import { engineSettings, isHeld, type TrainLimits, withParts, workOf } from "./train-limits.ts";
import { readTrainRows, type TrainSplit } from "./train-split.ts";
import { planTraining, type TrainingPlan } from "./training-plan.ts";
import {
  addedColumns,
  checkOutput,
  checkOutputPlace,
  trainingFormatOf,
  writeTrainingFile,
  type TrainingFormat,
} from "./training-set-file.ts";
import type { ViewPass } from "./view-passes.ts";
import { WrittenSet } from "./written-set.ts";

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
  /** Of several, each column is what it is in a set of its service alone; `training-plan.ts` says how columns are named. */
  readonly service: ServiceChoice;
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
   * Version of the fit to transform with, and the definition it is of; by service where there are several. Default: the
   * newest of the present one; as served, for rows whose token carries a fit, that one.
   */
  readonly fit?: ByService<number>;
  /** Also says which rows are for training, of one service. */
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
   * One a feature, in the order of the vector, of several services one behind the other; slot `i` belongs to label row `i` in input order. Of a set that was too
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
 * `FILE_UNREADABLE`, `TOKEN_INVALID`, `EPOCH_UNKNOWN`, `CANCELLED` and what `planTraining` throws; on any of them nothing is written.
 */
export async function train(request: TrainRequest): Promise<TrainingSet> {
  const plan = planTraining(request.ports, request.service, request.fit);
  return withLabels(request, plan, (labelled) => trainPlan(labelled, plan));
}

/** A request whose label rows stand in a file. */
export interface LabelledRequest extends TrainRequest {
  readonly labels: SpineRequest;
}

/** Lends `work` the request with label rows in a file, generated where it is said how; first refuses an `out` that cannot be. */
export async function withLabels<R extends Omit<TrainRequest, "labels">, T>(
  request: R & Pick<TrainRequest, "labels">,
  plan: TrainingPlan,
  work: (request: R & { readonly labels: SpineRequest }) => Promise<T>,
): Promise<T> {
  const { labels, out, format } = request;
  if (out !== undefined) {
    if (format === undefined) trainingFormatOf(out);
    await checkOutputPlace(out, "the training set");
  }
  if ("path" in labels) return work({ ...request, labels });
  if (request.knowledge === "as-served") {
    throw new OnefoldError("REQUEST_INVALID", "generated label rows have no tokens, which rows as served need");
  }
  // No label is made from an event at its tick, so there is nothing to ask.
  const { boundary = "inclusive" } = request;
  return withGeneratedSpine(request.ports, plan, labels, boundary === "inclusive", request, (generated) =>
    work({ ...request, boundary, labels: generated }),
  );
}

/** The same of a plan that was made already. */
export async function trainPlan(request: LabelledRequest, plan: TrainingPlan): Promise<TrainingSet> {
  const { ports, signal } = request;
  const format = request.out === undefined ? null : (request.format ?? trainingFormatOf(request.out));
  const engine = await ports.openEngine(engineSettings(request));
  const onAbort = (): void => engine.interrupt();
  signal?.addEventListener("abort", onAbort);
  try {
    return await trainWith(engine, plan, format, request);
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
  plan: TrainingPlan,
  format: TrainingFormat | null,
  request: LabelledRequest,
): Promise<TrainingSet> {
  const { ports, out, onProgress, signal } = request;
  const knowledge = request.knowledge ?? "as-known";
  const boundary = request.boundary ?? "inclusive";
  const cancel = signal === undefined ? {} : { signal };
  onProgress?.({ phase: "labels", done: 0, total: 0 });
  const outputs = plan.columns.flat();
  const needs = knowledge === "as-served" ? "token" : "time";
  const read = await readSpine(engine, request.labels, plan.entities, needs, plan.request, plan.names);
  const { spine, parts: splits } = await splitByTime(engine, read, request, knowledge);
  const total = spine.rowCount;
  onProgress?.({ phase: "labels", done: total, total });
  throwIfCancelled(signal);
  const withStatuses = request.withStatuses ?? false;
  const flagAfterLog = request.allowAfterLog ?? false;
  const featureNames = outputs.map((output) => output.name);
  if (out !== undefined) await checkOutput(out, spine, addedColumns(featureNames, withStatuses, flagAfterLog));
  const requestColumns = await readRequestColumns(engine, spine, plan.request);

  const afterLog = new Uint8Array(total);
  const { groups, snapshots } =
    knowledge === "as-served"
      ? await groupServedRows(engine, ports, plan, spine, afterLog)
      : await groupTimedRows(engine, ports, plan, spine, knowledge, boundary);
  if (knowledge !== "as-served") await flagTimesAfterLog(engine, snapshots, afterLog);
  const rowsAfterLog = afterLog.reduce((sum, flag) => sum + flag, 0);
  if (rowsAfterLog > 0 && !flagAfterLog) throw afterLogError(rowsAfterLog, total, snapshots);
  const { split } = request;
  const trainRows = split === undefined ? null : await readTrainRows(engine, spine, split, groups[0]!.tokens);

  const build = async (parts: FeatureParts | null): Promise<TrainingSet> => {
    const results = new ViewResults();
    const counts = new ColumnCounts();
    const held: FeatureColumn[] = [];
    let chunks: AsyncIterable<SetChunk> | null = null;
    for (const group of groups) {
      const inputs = parts === null ? inputColumns(group.join, total) : [];
      for await (const { pass, result } of replayPasses({
        engine,
        passes: group.passes,
        sinkOf: async (pass, index) =>
          parts === null ? columnSink(pass, inputs) : PartSink.open(engine, parts, pass, index),
        threads: request.threads ?? defaultThreads(group.passes),
        onProgress: (view, done, of) => onProgress?.({ phase: "events", view, done, total: of }),
        onSorting: (view, done) => onProgress?.({ phase: "sorting", view, done, total: 100 }),
        ...cancel,
      })) {
        throwIfCancelled(signal);
        if (request.boundary === undefined && knowledge !== "as-served")
          refuseCoincidence(result, pass, total, knowledge);
        results.add(pass, result);
      }
      const asOf = computesMore(group) ? await readLabelTimes(engine, spine, group.tokens) : null;
      const work = { plan, group, request: requestColumns, asOf, ...cancel };
      if (parts === null) held.push(...(await serviceColumns(work, inputs, 0, total)).flat());
      else chunks = counts.counted(chunksOfParts({ ...work, engine, parts, rowCount: total }));
    }
    if (parts === null) counts.add(held);

    const generated = request.labels.generated ?? null;
    const made = { plan, groups, snapshots, results, spine, generated, knowledge, boundary, rowsAfterLog, splits };
    const manifestFor = (output: TrainingManifest["output"]): TrainingManifest =>
      manifestOf({ ...made, rowCounts: counts.counts, created: ports.clock.now() }, output);
    if (out === undefined) return { rowCount: total, columns: held, manifest: manifestFor(null), out: null, trainRows };
    const manifest = await writeTrainingFile(
      {
        engine,
        path: out,
        format: format!,
        spine,
        request: requestColumns,
        outputs,
        chunks: chunks ?? [{ from: 0, rowCount: total, columns: held }],
        withStatuses,
        afterLog: flagAfterLog ? afterLog : null,
        onProgress: (done) => onProgress?.({ phase: "writing", done, total }),
        ...cancel,
      },
      (sha256) => manifestFor({ path: out, format: format!, rows: total, sha256 }),
    );
    const set = { rowCount: total, manifest, out, trainRows };
    return parts === null ? { ...set, columns: held } : new WrittenSet(set);
  };
  if (out === undefined || knowledge === "as-served" || isHeld(request, plan, total)) return build(null);
  const work = workOf(plan, spine, snapshots, [knowledge, boundary]);
  return withParts(engine, request, total, out, work, build);
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
