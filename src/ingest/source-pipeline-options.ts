/** What a source's pipeline is opened with. */
import type { Clock } from "../base/clock.ts";
import type { SourceDefinition } from "../define/definition.ts";
import type { ViewState } from "../fold/view-fold.ts";
import type { LocalOnlineStore } from "../online-store/online-store.ts";
import type { RefoldedRun } from "./correction-run.ts";
import type { LogEvent } from "./event.ts";
import type { FileEventLog } from "./file-event-log.ts";
import type { LogStorage } from "./storage.ts";
import type { TailLimits } from "./tail-group.ts";
import type { PipelineView } from "./view-runner.ts";

export interface SourcePipelineOptions {
  readonly source: SourceDefinition;
  readonly views: readonly PipelineView[];
  readonly storage: LogStorage;
  /** The data folder: the log is `log/<source>/0` in it, the dead letters `dead-letters/<source>`. */
  readonly folder: string;
  readonly store: LocalOnlineStore;
  readonly clock: Clock;
  readonly flushMs?: number;
  readonly pendingRowsMax?: number;
  readonly pendingBytesMax?: number;
  readonly segmentBytesMax?: number;
  readonly hotCountMax?: number;
  /** Of each view: see `HotStatesOptions`. */
  readonly hotBytesMax?: () => number;
  readonly hotHeapBytesMax?: () => number;
  /** More changed states than this are committed view by view. */
  readonly statesPerCommit?: number;
  /** Whether each changed state is written in whole, for others that read them alone. Default: it may have a tail. */
  readonly wholeStates?: boolean;
  readonly tailLimits?: TailLimits;
  /** Called while the log is replayed on opening: events done, and in all. */
  onReplay?(done: number, total: number): void;
  /**
   * Folds the entities anew that a run of corrections takes events from, which `log` has all before; needed where there are such.
   * Where the archive is refused it throws `TABLE_INVALID`.
   */
  refold?(view: PipelineView, run: readonly LogEvent[], log: FileEventLog): Promise<RefoldedRun<ViewState>>;
}
