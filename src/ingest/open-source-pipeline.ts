/**
 * Opens a source's pipeline: from what is on disk to where the next push finds it.
 */
import { join } from "node:path";
import { compileDerived } from "../fold/derive.ts";
import { DeadLetters } from "./dead-letters.ts";
import { openEventLog } from "./file-event-log.ts";
import type { SourcePipelineOptions } from "./source-pipeline-options.ts";
import { SourcePipeline } from "./source-pipeline.ts";

/**
 * Opens a source: recovers its log, folds what no commit holds yet. Where a correction cannot be folded, as its table is refused,
 * it stands before that with the failure `TABLE_INVALID`, as after a write that failed. Throws `LOG_CORRUPT`, `STORAGE_FAILED`,
 * `STATE_CODEC`, `DEFINITION_INVALID`.
 */
export async function openSourcePipeline(options: SourcePipelineOptions): Promise<SourcePipeline> {
  const { source, storage, folder, clock } = options;
  const log = await openEventLog({
    storage,
    folder: join(folder, "log", source.name, "0"),
    columns: source.columns,
    derive: compileDerived(source).deriveEach,
    ...(options.segmentBytesMax === undefined ? {} : { segmentBytesMax: options.segmentBytesMax }),
  });
  const letters = await DeadLetters.open({
    storage,
    folder: join(folder, "dead-letters", source.name),
    source: source.name,
    clock,
  });
  const pipeline = new SourcePipeline(options, log, letters);
  try {
    await pipeline.replayLog();
    if (options.wholeStates === true && pipeline.failure === null) await pipeline.writeOutTails();
    return pipeline;
  } catch (error) {
    await pipeline.abandon(error);
    throw error;
  }
}
