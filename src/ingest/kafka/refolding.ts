/**
 * What a run of corrections does to the views of a partition: found out from the offline table of its topic, as an
 * embedded platform finds it out from its archive.
 *
 *     partition   e0(a) e1(b) e2(a) │ r3 e4 │ e5        the run is what takes events back, and what takes their place
 *     table       e0(a) e1(b) e2(a) │                   all before the run is moved there first
 *
 * Everybody who folds the partition comes to the same: what stands before the run in the table follows from the
 * partition's records alone, and so does the run.
 */
import { OnefoldError } from "../../base/errors.ts";
import type { ViewState } from "../../fold/view-fold.ts";
import { type QueryEngine, sqlText } from "../../offline-store/engine.ts";
import type { EventFiles } from "../../offline-store/event-archive.ts";
import { eventRelation } from "../../offline-store/event-relation.ts";
import type { TableFile } from "../../offline-store/offline-store.ts";
import { PARTITION } from "../../offline-store/partitioned-events.ts";
import { HISTORY_BASE } from "../../schema/event-offset.ts";
import type { RefoldedRun } from "../correction-run.ts";
import { isRetraction } from "../event.ts";
import { refoldRun } from "../refold.ts";
import type { ArchiveLoop } from "./archive-loop.ts";
import type { FetchedPartition, KafkaRecord } from "./records.ts";
import type { PartitionRun, RefoldedViews } from "./folded-partition.ts";
import { isMark } from "./forget-records.ts";
import type { ForgottenNotes } from "./forgotten-notes.ts";
import { forgetViews } from "./forgotten-run.ts";
import { partitionName } from "./position.ts";
import { CORRECTS_HEADER } from "./record-stamp.ts";
import type { SourceRoutes } from "./routes.ts";
import { KAFKA_EPOCH } from "./view-places.ts";

export interface RefoldingOptions {
  readonly archiving: Pick<ArchiveLoop, "passTo" | "files" | "cutPartition">;
  openEngine(): Promise<QueryEngine>;
  /** Rows of the tables that count no more, by source; none without it. */
  readonly forgotten?: ((source: string) => Pick<ForgottenNotes, "rows">) | undefined;
}

export class Refolding {
  readonly #options: RefoldingOptions;

  constructor(options: RefoldingOptions) {
    this.#options = options;
  }

  /** Why the events of a source cannot be corrected; null where they can. */
  async refusal({ routes, source }: SourceRoutes): Promise<OnefoldError | null> {
    for (const { topic } of routes) {
      const partition = await this.#options.archiving.cutPartition(topic);
      if (partition === null) continue;
      return new OnefoldError(
        "CORRECTION_REFUSED",
        `the offline table of ${topic} lacks the first events of partition ${partition}, which the topic had dropped before`,
        { where: source.name, hint: "fold a corrected topic anew: docs/kafka.md, Fold anew" },
      );
    }
    return null;
  }

  /**
   * Tells of each run what it does: first of those that take nothing back that stands before them. All before a run in its
   * partition is stored.
   */
  async refold(runs: readonly PartitionRun[], tell: (run: PartitionRun, views: RefoldedViews) => void): Promise<void> {
    const { archiving, openEngine } = this.#options;
    const ofTopics = new Map<string, PartitionRun[]>();
    for (const one of runs) ofTopics.set(one.route.topic, [...(ofTopics.get(one.route.topic) ?? []), one]);
    for (const [topic, ofTopic] of ofTopics) {
      await archiving.passTo(
        topic,
        ofTopic.map(({ partition, run }) => ({ topic, partition, offset: run[0]!.offset })),
      );
      const partitions = ofTopic.filter(isCorrected).map(({ partition }) => partition);
      const cut = await archiving.cutPartition(topic, partitions);
      if (cut !== null) throw recordsGone(topic, cut);
    }
    const engine = await openEngine();
    try {
      const later: (() => Promise<void>)[] = [];
      for (const [topic, ofTopic] of ofTopics) {
        const files = await archiving.files(topic);
        const found = await idsOf(engine, files, ofTopic.filter(isCorrected));
        const forgotten = await this.#options.forgotten?.(ofTopic[0]!.route.source.name).rows();
        for (const one of ofTopic) {
          const gone = [...(forgotten?.get(partitionName(topic, one.partition)) ?? [])];
          const foldAnew = async (): Promise<void> => {
            const views = isCorrected(one)
              ? refoldViews(engine, eventFiles(files), one, { found, gone })
              : forgetViews(engine, eventFiles(files), one, gone);
            tell(one, await views);
          };
          const mayLose = !isCorrected(one) || one.run.some(({ id }) => found.has(placeOf(one.partition, id!)));
          if (mayLose) later.push(foldAnew);
          else await foldAnew();
        }
      }
      for (const foldAnew of later) await foldAnew();
    } finally {
      await engine.close();
    }
  }
}

/** Or it is a mark of what is forgotten. */
function isCorrected({ run }: PartitionRun): boolean {
  return run[0]!.forgets === undefined;
}

/** Of a topic's table, whatever it is keyed by. */
export function eventFiles(archived: readonly TableFile[]): EventFiles {
  return {
    epoch: KAFKA_EPOCH,
    history: [],
    live: [],
    liveEnd: 0,
    historyEnd: HISTORY_BASE,
    lastKnownTime: Number.NEGATIVE_INFINITY,
    keyedBy: () => ({ files: archived, endOf: () => 0 }),
  };
}

/** `partition/id` of the events that these runs may take back: in most partitions there are none. */
async function idsOf(
  engine: QueryEngine,
  files: readonly TableFile[],
  runs: readonly PartitionRun[],
): Promise<ReadonlySet<string>> {
  const ids = new Set(runs.flatMap(({ run }) => run.flatMap((one) => (isRetraction(one) ? [sqlText(one.id!)] : []))));
  if (ids.size === 0) return new Set();
  const rows = await engine.rows(`SELECT DISTINCT _partition::INT || '/' || _id AS place
    FROM ${eventRelation(files, [PARTITION])} WHERE _event_time IS NOT NULL AND _id IN (${[...ids].join(", ")})`);
  return new Set(rows.map(({ place }) => String(place)));
}

function placeOf(partition: number, id: string): string {
  return `${partition}/${id}`;
}

async function refoldViews(
  engine: QueryEngine,
  files: EventFiles,
  { route: { source, views }, partition, run }: PartitionRun,
  { found, gone }: { readonly found: ReadonlySet<string>; readonly gone: readonly number[] },
): Promise<RefoldedViews> {
  const mayHave = (id: string): boolean => found.has(placeOf(partition, id));
  const refolded = new Map<string, RefoldedRun<ViewState>>();
  const asked = { source, engine, files, run, partition, mayHave, withoutOffsets: gone };
  for (const view of views) refolded.set(view.foldName, await refoldRun({ ...asked, view }));
  return refolded;
}

function recordsGone(topic: string, partition: number): OnefoldError {
  return new OnefoldError(
    "KAFKA_RECORDS_GONE",
    `${topic}/${partition} has dropped records before they were archived, so a correction in it cannot be folded`,
    { where: topic, hint: "fold a corrected topic anew: docs/kafka.md, Fold anew" },
  );
}

/** Of a worker without offline tables. */
export function withoutTables({ name }: { readonly name: string }): OnefoldError {
  return new OnefoldError(
    "CORRECTION_REFUSED",
    `the events of source ${name} are not archived, and cannot be corrected`,
    {
      where: name,
      hint: "give all workers --archive FOLDER, and write the correction once more",
    },
  );
}

/** Records of a partition as they are taken: a run of corrections or a mark, and what follows up to the next one. */
export interface CutRecords {
  readonly run: readonly KafkaRecord[];
  readonly rest: readonly KafkaRecord[];
  readonly nextOffset: number;
}

export function cutRecords({ records, nextOffset }: FetchedPartition, mayCorrect: boolean): CutRecords {
  if (!mayCorrect) return { run: [], rest: records, nextOffset };
  let runEnd = 0;
  if (records.length > 0 && isRetractionRecord(records[0]!)) {
    runEnd = records.findIndex((record) => !record.headers().has(CORRECTS_HEADER));
    if (runEnd === -1) runEnd = records.length;
  } else if (records.length > 0 && isMark(records[0]!)) runEnd = 1;
  const next = records.findIndex((record, i) => i >= runEnd && (isRetractionRecord(record) || isMark(record)));
  if (runEnd === 0 && next === -1) return { run: [], rest: records, nextOffset };
  return {
    run: records.slice(0, runEnd),
    rest: records.slice(runEnd, next === -1 ? records.length : next),
    nextOffset: next === -1 ? nextOffset : records[next]!.offset,
  };
}

/** Events have a value, so that headers are read of few. */
function isRetractionRecord(record: KafkaRecord): boolean {
  return record.value === null && record.headers().has(CORRECTS_HEADER);
}
