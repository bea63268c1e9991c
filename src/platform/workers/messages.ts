/**
 * What the owner of a data folder and its workers say to each other, over the channel that a process has to its
 * parent. Plain data; the channel keeps order and loses nothing while both live.
 */
import type { WireError } from "../../base/wire-error.ts";
import type { Micros } from "../../base/micros.ts";
import type { MetricValues } from "../../monitor/metrics/prometheus.ts";
import type { HttpOptions } from "../../serve/http.ts";
import type { MonitoringDesks } from "../../serve/monitoring-desks.ts";
import type { CorrectionReport, PushReport, ServePorts } from "../../serve/ports.ts";
import type { RespOptions } from "../../serve/resp/server.ts";
import type { StaleViews } from "../monitoring/stale-views.ts";
import type { TrainingDesk } from "../../serve/training-desk.ts";

/** All that a worker is told to begin with. */
export interface WorkerSettings {
  readonly dataDir: string;
  /** Of the registry's file and the fits. */
  readonly registryFolder: string;
  readonly servingLogSampleRate: number;
  /** Part of the vectors that it looks at for drift; absent: none. */
  readonly driftSampleRate?: number;
  /** Whether the owner builds training sets. */
  readonly trains: boolean;
  /** What can be asked of the owner's monitoring. */
  readonly monitors: readonly (keyof MonitoringDesks)[];
  readonly http: Omit<HttpOptions, "onError">;
  /** Null for none. */
  readonly resp: Omit<RespOptions, "onError"> | null;
}

/** What the owner lets all workers know several times a second. */
export interface HouseStatus {
  readonly ready: boolean;
  readonly waitingFor: readonly string[];
  /** What no process of the server answers because of its code. */
  readonly refused?: readonly string[];
  readonly warnings?: readonly string[];
  /** Views that are being computed from history. */
  readonly building?: readonly string[];
  /** When this was so. */
  readonly at: Micros;
  /** Views of which, at that time, the online store had all that was folded, with the position it had. */
  readonly flushed: readonly (readonly [view: string, position: number])[];
  /** Views in whose place a fallback is served. */
  readonly stale: StaleViews["active"];
}

/** What either side may ask of the other: the argument and what is answered. */
export interface Questions {
  /** Of the owner: a worker's first question, from which on it hears what it is told. */
  readonly settings: { readonly asked: null; readonly answered: WorkerSettings };
  /** Of the owner. */
  readonly push: {
    readonly asked: {
      readonly source: string;
      readonly rows: readonly unknown[];
      readonly faults: readonly (readonly [row: number, fault: WireError])[];
    };
    readonly answered: PushReport;
  };
  /** Of the owner. */
  readonly correct: {
    readonly asked: {
      readonly source: string;
      readonly corrections: Parameters<NonNullable<ServePorts["correct"]>>[1];
    };
    readonly answered: CorrectionReport;
  };
  /** Of the owner: to keep what a worker saw of the vectors it served, as `windowToJson` writes it. */
  readonly driftWindows: { readonly asked: readonly object[]; readonly answered: null };
  /** Of a worker: to tell what it saw so far. */
  readonly flushDrift: { readonly asked: null; readonly answered: null };
  /** Of the owner: the page of all processes. */
  readonly metricsPage: {
    readonly asked: null;
    readonly answered: { readonly contentType: string; readonly text: string };
  };
  /** Of the owner: how fresh everything is. */
  readonly freshness: { readonly asked: { readonly oldest: number }; readonly answered: object };
  /** Of the owner: a call of its training desk. */
  readonly training: {
    readonly asked: { readonly call: keyof TrainingDesk; readonly given: readonly unknown[] };
    readonly answered: unknown;
  };
  /** Of the owner: a call of one of its monitoring's desks. */
  readonly monitoring: {
    readonly asked: { readonly desk: keyof MonitoringDesks; readonly call: string; readonly given: readonly unknown[] };
    readonly answered: unknown;
  };
  /** Of a worker: what it has counted itself. */
  readonly metricValues: { readonly asked: null; readonly answered: MetricValues };
  /** Of a worker: whether it gets its turns. */
  readonly alive: { readonly asked: null; readonly answered: null };
  /** Of a worker: to write what is in its serving log. */
  readonly flushServingLog: { readonly asked: null; readonly answered: null };
  /** Of a worker: to read registry, fits and code anew. */
  readonly reload: { readonly asked: null; readonly answered: null };
}

export type Question = keyof Questions;

export type Message =
  | { readonly kind: "ask"; readonly id: number; readonly question: Question; readonly asked: unknown }
  | { readonly kind: "answer"; readonly id: number; readonly answered: unknown }
  | { readonly kind: "refusal"; readonly id: number; readonly error: WireError }
  // the owner tells
  | { readonly kind: "status"; readonly status: HouseStatus }
  | { readonly kind: "stop" }
  // a worker tells
  | { readonly kind: "warm" }
  | { readonly kind: "failed"; readonly error: WireError }
  /** Its last counts, at its end. */
  | { readonly kind: "counted"; readonly values: MetricValues };
