/**
 * Drift of a data folder: its windows, what this process adds to them where it serves, and the desk that reports.
 */
import { resolve } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { type DurationMicros, MICROS_PER_DAY, MICROS_PER_HOUR } from "../../base/micros.ts";
import { type DriftWindow, windowFromJson } from "../../monitor/drift/drift-window.ts";
import { joinedWindows } from "../../monitor/drift/joined-windows.ts";
import { WindowFolder } from "../../monitor/drift/window-folder.ts";
import type { TrainingPorts } from "../../training/ports.ts";
import type { RuntimeContext } from "../runtime-context.ts";
import { DriftDesk } from "./drift-desk.ts";
import { DRIFT_SAMPLE_RATE, DriftRecorder } from "./drift-recorder.ts";
import { FoldedRecorder, foldedWindows } from "./folded-recorder.ts";

/** Windows are kept for so long. */
const KEPT_MICROS: DurationMicros = 31 * MICROS_PER_DAY;

/** Where a process owns the folder. */
export interface OwnedDrift {
  readonly rate: number;
  readonly windows: WindowFolder;
  readonly recorder: DriftRecorder;
  /** Of what is folded here; null where nothing is. */
  readonly folded: FoldedRecorder | null;
  /** Takes what a worker saw. */
  keep(windows: readonly object[]): Promise<void>;
}

/** `writer`: as `WindowFolder` has it. */
export function openOwnedDrift(
  dataDir: string,
  clock: Clock,
  rate: number = DRIFT_SAMPLE_RATE,
  writer?: string,
): OwnedDrift {
  const windows = new WindowFolder(dataDir, writer);
  let tidiedMicros = Number.NEGATIVE_INFINITY;
  const keep = async (added: readonly DriftWindow[]): Promise<void> => {
    await windows.add(added);
    const now = clock.now();
    if (now - tidiedMicros < MICROS_PER_HOUR) return;
    tidiedMicros = now;
    await windows.forgetBefore(now - KEPT_MICROS);
  };
  const recorder = new DriftRecorder({ rate, keep });
  const folded = writer === undefined ? new FoldedRecorder({ folder: dataDir, clock, rate }) : null;
  return { rate, windows, recorder, folded, keep: async (added) => recorder.add(added.map(windowFromJson)) };
}

/** Where this process owns the folder. */
interface Flushes {
  readonly drift: OwnedDrift | undefined;
  /** Resolves once what workers saw is here. */
  readonly workers: () => Promise<void>;
  /** Resolves once the serving log and the tables have all. */
  readonly settle: () => Promise<void>;
}

export function openDriftDesk(context: RuntimeContext, ports: TrainingPorts, flushes: Flushes): DriftDesk {
  const windows = flushes.drift?.windows ?? new WindowFolder(context.dataDir);
  const own = flushes.drift?.folded?.windows ?? foldedWindows(context.dataDir);
  const { workerTables, dataDir } = context;
  // Of sources on Kafka workers look at what they fold, and may write that here.
  const isElsewhere = workerTables !== undefined && resolve(workerTables.folder) !== resolve(dataDir);
  const folded = isElsewhere ? joinedWindows([own, foldedWindows(workerTables.folder)]) : own;
  return new DriftDesk({ context, ports, windows, folded }, async (exact) => {
    const { drift, workers, settle } = flushes;
    if (drift === undefined) return;
    if (exact) return settle();
    await workers();
    await Promise.all([drift.recorder.flush(), drift.folded?.flush()]);
  });
}
