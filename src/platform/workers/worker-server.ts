/**
 * A server of several processes: the owner of the data folder, which takes in events and folds them, and workers,
 * which answer all requests on the same ports from what the owner has written to the online store.
 *
 *     clients ──▶ worker ──▶ states in the online store, read-only ◀── owner: log, fold, flush
 *                   └─ pushes, metrics ──────────────────────────────────▶ ┘
 */
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import type { Clock } from "../../base/clock.ts";
import { OnefoldError } from "../../base/errors.ts";
import type { Metrics } from "../../monitor/metrics/metrics.ts";
import { type MetricValues, sumCounted, sumPage, sumValues } from "../../monitor/metrics/prometheus.ts";
import type { WorkerCounts } from "../../monitor/metrics/monitored-house.ts";
import type { HttpOptions } from "../../serve/http.ts";
import type { MonitoringDesks } from "../../serve/monitoring-desks.ts";
import type { ServePorts } from "../../serve/ports.ts";
import type { RespOptions } from "../../serve/resp/server.ts";
import type { TrainingDesk } from "../../serve/training-desk.ts";
import { faultsFromWire } from "./ask-link.ts";
import { BEAT_MILLIS } from "./heartbeat.ts";
import { askMonitoring } from "../monitoring/alert-answers.ts";
import { answerTraining } from "./asked-training.ts";
import type { HouseStatus, WorkerSettings } from "./messages.ts";
import { Supervisor } from "./supervisor.ts";
import { WorkerProcess, type WorkerProgram } from "./worker-process.ts";

export interface WorkersOptions {
  readonly count: number;
  /** What each worker runs: a file that calls `serveAsWorker`, with the code of the definitions where they have any. */
  readonly module: string | URL;
  /** Its command line. */
  readonly arguments?: readonly string[];
  /** Limits of connections and bytes are those of each worker. Errors are told to the worker's own `onError`. */
  readonly http?: Omit<HttpOptions, "onError">;
  /** Serves the Redis protocol, too. */
  readonly resp?: Omit<RespOptions, "onError">;
  /** Told why a worker ended, and how long until it is started again. */
  readonly onRestart?: (error: OnefoldError, delayMs: number) => void;
  /** Told that one that was started again serves: which, from 1. */
  readonly onBack?: (worker: number) => void;
}

export interface WorkerServer {
  /** `http://host:port`. */
  readonly url: string;
  /** `redis://host:port`; null where the Redis protocol is not served. */
  readonly respUrl: string | null;
  /** Resolves with `WORKERS_FAILED` where workers end too often in a row: the server is then to be closed. */
  readonly failed: Promise<OnefoldError>;
  /** Resolves once requests under way are answered and all workers have ended. */
  close(): Promise<void>;
}

/** What the owner gives its workers. */
export interface OwnerHouse {
  readonly dataDir: string;
  readonly registryFolder: string;
  readonly clock: Clock;
  readonly servingLogSampleRate: number;
  readonly driftSampleRate: number;
  /** Takes what a worker saw, as `windowToJson` writes it. */
  readonly keepDrift: (windows: readonly object[]) => Promise<void>;
  readonly push: ServePorts["push"];
  readonly correct: NonNullable<ServePorts["correct"]>;
  readonly readiness: ServePorts["readiness"];
  readonly metrics: Metrics;
  readonly freshness: NonNullable<ServePorts["freshness"]>;
  /** Null where it builds no training sets. */
  readonly training: TrainingDesk | null;
  readonly monitoring: MonitoringDesks;
  flushedViews(): HouseStatus["flushed"];
  staleViews(): HouseStatus["stale"];
  releaseDeadReaders(): void;
}

const STATUS_MILLIS = 200;
/** The workers of a platform, of however many servers. */
export class Workers {
  readonly #house: OwnerHouse;
  readonly #supervisors = new Set<Supervisor>();
  #status: NodeJS.Timeout | null = null;
  #beat: NodeJS.Timeout | null = null;
  /** Of processes that have ended: a counter never goes back. */
  #ended: Promise<MetricValues> = Promise.resolve([]);

  constructor(house: OwnerHouse) {
    this.#house = house;
  }

  /** Resolves once all its workers serve. Throws `LISTEN_FAILED`, `WORKERS_FAILED`, `REQUEST_INVALID`, and what a worker fails with. */
  async open(options: WorkersOptions): Promise<WorkerServer> {
    const { count } = options;
    if (!Number.isSafeInteger(count) || count < 1) {
      throw new OnefoldError("REQUEST_INVALID", `a number of workers is a whole number from 1 on, not ${count}`);
    }
    const { host = "127.0.0.1" } = options.http ?? {};
    const http = { ...options.http, host, port: await freePort(host, options.http?.port ?? 8080) };
    const resp = options.resp === undefined ? null : await respWithPort(options.resp);
    const { dataDir, registryFolder, servingLogSampleRate, driftSampleRate, training, monitoring } = this.#house;
    const sampled = { servingLogSampleRate, driftSampleRate };
    const trains = training !== null;
    const monitors = Object.keys(monitoring) as (keyof MonitoringDesks)[];
    const settings: WorkerSettings = { dataDir, registryFolder, ...sampled, trains, monitors, http, resp };
    const program: WorkerProgram = {
      module: options.module instanceof URL ? fileURLToPath(options.module) : options.module,
      arguments: options.arguments ?? [],
    };
    const supervisor = new Supervisor({
      count,
      start: () => this.#start(program, settings),
      onRestart: options.onRestart ?? (() => {}),
      onBack: options.onBack ?? (() => {}),
      onEnd: (ended) => this.#end(ended),
    });
    this.#status ??= setInterval(() => this.#tellStatus(), STATUS_MILLIS).unref();
    this.#beat ??= setInterval(() => this.#processes().forEach((one) => one.beat()), BEAT_MILLIS).unref();
    // From now on they are told of what changes, whether they serve yet or not.
    this.#supervisors.add(supervisor);
    await supervisor.begin().catch((error: unknown) => {
      this.#supervisors.delete(supervisor);
      throw error;
    });
    this.#tellStatus();
    return {
      url: `http://${shown(host)}:${http.port}`,
      respUrl: resp === null ? null : `redis://${shown(resp.host)}:${resp.port}`,
      failed: supervisor.failed,
      close: () => supervisor.stop(),
    };
  }

  /** Null where no server has workers. */
  counts(): WorkerCounts | null {
    if (this.#supervisors.size === 0) return null;
    return {
      warm: this.#processes().filter(({ isWarm }) => isWarm).length,
      restarts: Array.from(this.#supervisors).reduce((sum, { restarts }) => sum + restarts, 0),
    };
  }

  /** Resolves once every worker serves what is registered now, or has ended. */
  async reload(): Promise<void> {
    await Promise.all(this.#processes().map((one) => one.reload()));
  }

  /** Resolves once what workers have served so far is in the serving log. */
  async flushServingLogs(): Promise<void> {
    await Promise.all(this.#processes().map((one) => one.flushServingLog()));
  }

  /** Resolves once what workers saw so far is with the owner. */
  async flushDrift(): Promise<void> {
    await Promise.all(this.#processes().map((one) => one.flushDrift()));
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#supervisors, (supervisor) => supervisor.stop()));
    for (const timer of [this.#status, this.#beat]) if (timer !== null) clearInterval(timer);
  }

  #processes(): WorkerProcess[] {
    return Array.from(this.#supervisors, ({ processes }) => processes).flat();
  }

  #start(program: WorkerProgram, settings: WorkerSettings): WorkerProcess {
    const started = new WorkerProcess(program, settings, {
      push: ({ source, rows, faults }) => this.#house.push(source, rows, faultsFromWire(faults)),
      correct: ({ source, corrections }) => this.#house.correct(source, corrections),
      driftWindows: (windows) => this.#house.keepDrift(windows).then(() => null),
      metricsPage: () => this.#metricsPage(),
      freshness: (options) => this.#house.freshness(options),
      training: (asked) => answerTraining(this.#house.training, asked),
      monitoring: (asked) => askMonitoring(this.#house.monitoring, asked),
    });
    started.warm.then(
      () => this.#tellStatus(),
      // Told by its end.
      () => undefined,
    );
    return started;
  }

  #end(ended: WorkerProcess): void {
    this.#house.releaseDeadReaders();
    this.#ended = this.#ended.then(async (before) => sumCounted([before, await ended.counted()]));
    this.#tellStatus();
  }

  #tellStatus(): void {
    const { clock, readiness, flushedViews, staleViews } = this.#house;
    const { waitingFor: ownWaitingFor, refused = [], warnings = [], building = [] } = readiness();
    const waitingFor = [
      ...ownWaitingFor,
      ...Array.from(this.#supervisors, (supervisor) => supervisor.waitingFor).flat(),
    ];
    const status: HouseStatus = {
      ready: waitingFor.length === 0,
      waitingFor,
      refused,
      warnings,
      building,
      at: clock.now(),
      flushed: flushedViews(),
      stale: staleViews(),
    };
    for (const one of this.#processes()) one.send({ kind: "status", status });
  }

  async #metricsPage(): Promise<{ readonly contentType: string; readonly text: string }> {
    return sumPage(await this.#allCounted());
  }

  /** What the owner and all workers have counted together, also those that have ended. */
  async counted(): Promise<MetricValues> {
    return sumCounted(await this.#allCounted());
  }

  /** The same with what is only measured: what the page has. */
  async measured(): Promise<MetricValues> {
    return sumValues(await this.#allCounted());
  }

  #allCounted(): Promise<MetricValues[]> {
    const running = this.#processes().map((one) => one.counted());
    return Promise.all([this.#house.metrics.values(), ...running, this.#ended]);
  }
}

async function respWithPort(resp: Omit<RespOptions, "onError">): Promise<typeof resp & { host: string; port: number }> {
  const { host = "127.0.0.1", port = 6380 } = resp;
  return { ...resp, host, port: await freePort(host, port) };
}

/**
 * The port, or a free one for 0: workers that ask for any port at different times would not get the same one. So
 * a port that is taken is found before anything is started. Throws `LISTEN_FAILED`.
 */
function freePort(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (cause: Error) => {
      reject(
        new OnefoldError("LISTEN_FAILED", `cannot listen on ${host}:${port}: ${cause.message}`, {
          hint: "choose another port, or stop what listens there",
          cause,
        }),
      );
    });
    probe.listen({ host, port, exclusive: true }, () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : port));
    });
  });
}

function shown(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
