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
import type { QueryEngine } from "../../offline-store/engine.ts";
import type { EventFiles } from "../../offline-store/event-archive.ts";
import { HISTORY_BASE } from "../../schema/event-offset.ts";
import { refoldRun } from "../refold.ts";
import type { ArchiveLoop } from "./archive-loop.ts";
import type { FetchedPartition, KafkaRecord } from "./connection.ts";
import type { FoldedEvent, RefoldedViews } from "./folded-partition.ts";
import { CORRECTS_HEADER } from "./record-stamp.ts";
import type { Route, SourceRoutes } from "./routes.ts";
import { KAFKA_EPOCH } from "./view-places.ts";

export interface RefoldingOptions {
  readonly archiving: Pick<ArchiveLoop, "passTo" | "files" | "cutPartition">;
  openEngine(): Promise<QueryEngine>;
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

  /** `run` are records of a partition that follow each other, with all before them stored. */
  async refold(
    { topic, source, views }: Route,
    partition: number,
    run: readonly FoldedEvent[],
  ): Promise<RefoldedViews> {
    const { archiving, openEngine } = this.#options;
    await archiving.passTo(topic, partition, run[0]!.offset);
    const cut = await archiving.cutPartition(topic, partition);
    if (cut !== null) {
      throw new OnefoldError(
        "KAFKA_RECORDS_GONE",
        `${topic}/${partition} has dropped records before they were archived, so the correction at ${run[0]!.offset} cannot be folded`,
        { where: topic, hint: "fold a corrected topic anew: docs/kafka.md, Fold anew" },
      );
    }
    const archived = await archiving.files(topic);
    const files: EventFiles = {
      epoch: KAFKA_EPOCH,
      history: [],
      live: [],
      liveEnd: 0,
      historyEnd: HISTORY_BASE,
      lastKnownTime: Number.NEGATIVE_INFINITY,
      keyedBy: () => ({ files: archived, endOf: () => 0 }),
    };
    const engine = await openEngine();
    try {
      const refolded = new Map<string, Awaited<ReturnType<typeof refoldRun>>>();
      for (const view of views) {
        refolded.set(view.foldName, await refoldRun({ source, view, engine, files, run, partition }));
      }
      return refolded;
    } finally {
      await engine.close();
    }
  }
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

/** Records of a partition as they are taken: a run of corrections, and what follows up to the next one. */
export interface CutRecords {
  readonly run: readonly KafkaRecord[];
  readonly rest: readonly KafkaRecord[];
  readonly nextOffset: number;
}

export function cutRecords({ records, nextOffset }: FetchedPartition): CutRecords {
  let runEnd = 0;
  if (records.length > 0 && isRetractionRecord(records[0]!)) {
    runEnd = records.findIndex((record) => !record.headers().has(CORRECTS_HEADER));
    if (runEnd === -1) runEnd = records.length;
  }
  const next = records.findIndex((record, i) => i >= runEnd && isRetractionRecord(record));
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
