/**
 * Wires the parts of an opened folder to each other: who registers, serves, trains, watches and measures, and who is told
 * when what is registered or fitted changed. Each is opened once, here, and let go of in the reverse order.
 */
import { OnefoldError } from "../base/errors.ts";
import type { Metrics } from "../monitor/metrics/metrics.ts";
import { CodeCheck } from "./code-check.ts";
import { BatchReads } from "./batch-reads.ts";
import { keepUsage, openMetrics } from "./monitoring/platform-metrics.ts";
import { FitWatch } from "./fit-watch.ts";
import { openChecks } from "./monitoring/open-checks.ts";
import type { StandingChecks } from "./monitoring/standing-checks.ts";
import type { Owned, Shared } from "./platform-parts.ts";
import type { DriftDesk } from "./monitoring/drift-desk.ts";
import { openDriftDesk } from "./monitoring/open-drift.ts";
import type { RuntimeContext } from "./runtime-context.ts";
import { type ExperimentDesk, openDesks, type VersionDesk } from "./open-desks.ts";
import { Registrations } from "./registrations.ts";
import { RegistryFollower, troubleText } from "./registry-follower.ts";
import { RespDoors } from "./resp-doors.ts";
import { openServePorts } from "./serve-ports.ts";
import { openTrainingPorts } from "./training-ports.ts";
import { openWorkers } from "./workers/owned-workers.ts";
import type { Workers } from "./workers/worker-server.ts";
import { createFeatureReader, type FeatureReader } from "../serve/feature-reader.ts";
import { type CallRoute, createCaller } from "../serve/in-process.ts";
import type { ServePorts } from "../serve/ports.ts";
import { allRoutes } from "../serve/routes.ts";
import type { TrainingPorts } from "../training/ports.ts";

export class Wiring {
  readonly registrations: Registrations;
  readonly batch: BatchReads;
  readonly checks: StandingChecks;
  readonly drift: DriftDesk;
  readonly experiments: ExperimentDesk;
  readonly versions: VersionDesk;
  readonly trainingPorts: TrainingPorts;
  readonly servePorts: ServePorts;
  readonly reader: FeatureReader;
  readonly call: CallRoute;
  readonly metrics: Metrics;
  readonly respDoors: RespDoors = new RespDoors();
  /** Null where this process does not own the folder. */
  readonly workers: Workers | null;
  readonly #context: RuntimeContext;
  readonly #shared: Shared;
  readonly #owned: Owned | null;
  readonly #follower: RegistryFollower | null;
  readonly #closers: (() => Promise<void>)[];
  #closing: Promise<void> | null = null;

  constructor(context: RuntimeContext, shared: Shared, owned: Owned | null, closers: (() => Promise<void>)[]) {
    this.#context = context;
    this.#shared = shared;
    this.#owned = owned;
    this.#closers = closers;
    this.trainingPorts = openTrainingPorts(context, owned?.sources ?? null);
    this.checks = openChecks(context, this.trainingPorts, owned, () => this.workers?.flushServingLogs());
    closers.push(() => this.checks.close());
    this.drift = openDriftDesk(context, this.trainingPorts, {
      drift: owned?.drift,
      workers: async () => this.workers?.flushDrift(),
      settle: () => this.settle(),
    });
    owned?.monitoring.watchDrift(this.drift);
    this.registrations = new Registrations({
      registry: shared.registry,
      code: shared.code,
      sources: owned?.sources ?? null,
      check: (definitions) => context.catalog.check(definitions),
      // Before and after: a draft that changed is not read with the plans of what it was while it is rebuilt.
      onRegistered: () => (this.#context.revision.count += 1),
      onBuilt: () => this.changed(),
    });
    const desks = openDesks(context, shared, owned, this.registrations, (work, instead) => this.own(work, instead));
    this.experiments = desks.experiments;
    this.versions = desks.versions;
    const watch = owned === null ? null : new FitWatch(context.fits, () => void this.changed());
    if (watch !== null) closers.push(() => watch.close());
    this.metrics = openMetrics(context.dataDir, owned, {
      resp: () => this.respDoors.counts(),
      unreadFits: () => watch?.unread.length ?? 0,
      registryUp: () => (this.#follower === null ? null : this.#follower.trouble === null),
      workers: () => this.workers?.counts() ?? null,
      ...this.checks.measured,
      alerts: () => owned?.monitoring.gauges() ?? null,
    });
    this.servePorts = openServePorts({
      context,
      owned,
      own: (work, instead) => this.own(work, instead),
      revision: () => context.revision.count,
      metrics: () => this.metrics.page(),
      code: new CodeCheck(context.registry, {
        revision: () => context.revision.count,
        mayLack: shared.isShared ? "others" : "never",
      }),
      warnings: () => troubleText(this.#follower?.trouble ?? null),
    });
    const [ports, metrics, { folder: registryFolder }] = [this.servePorts, this.metrics, shared];
    const owner = { dataDir: context.dataDir, registryFolder, clock: context.clock, metrics, ports };
    this.workers = owned === null ? null : openWorkers(owned, owner);
    if (owned !== null) keepUsage(owned, { context, workers: this.workers!, closers });
    this.#follower = owned === null || !shared.isShared ? null : this.#follow(shared);
    this.reader = createFeatureReader(this.servePorts);
    this.call = createCaller(allRoutes(this.reader, this.servePorts));
    this.batch = new BatchReads(context, this.trainingPorts, this.call);
  }

  /** Resolves once all that was pushed and served so far is stored. */
  async settle(): Promise<void> {
    if (this.#owned === null) return;
    const { sources, servingLog, drift, shadows } = this.#owned;
    await Promise.all([sources.settle(), servingLog.flush(), this.workers?.flushServingLogs()]);
    await this.workers?.flushDrift();
    await Promise.all([drift.recorder.flush(), drift.folded?.flush(), shadows.flush()]);
  }

  /** Lets go of everything, what was opened last first. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    await this.workers?.close();
    this.metrics.stop();
    let failure: unknown;
    for (const close of this.#closers.reverse()) {
      await close().catch((error: unknown) => {
        failure ??= error;
      });
    }
    if (failure !== undefined) throw failure;
  }

  /** Counts, measures and watches from then on. Throws `STORAGE_LOCKED`. */
  async beginServing(): Promise<void> {
    const { sources, monitoring } = this.own("serve", "ask the process that owns the folder over HTTP");
    this.metrics.start();
    this.checks.start();
    monitoring.start();
    await this.#shared.onServing();
    if (this.#context.pollsWhileServing) sources.startPolls();
  }

  /** Throws `STORAGE_LOCKED` where this process does not own the folder. */
  own(work: string, instead?: string): Owned {
    if (this.#owned !== null) return this.#owned;
    const hint = "stop the process that owns the data folder, if one does, and try again";
    throw new OnefoldError("STORAGE_LOCKED", `beside the owner of the data folder one can only read, not ${work}`, {
      where: this.#context.dataDir,
      hint: instead === undefined ? hint : `${hint}; or ${instead}`,
    });
  }

  /** Of what is registered or fitted: plans made before are not good any more, here and in the workers. */
  async changed(): Promise<void> {
    this.#context.revision.count += 1;
    await this.workers?.reload();
  }

  #follow({ registry, onTrouble }: Shared): RegistryFollower {
    const follower = new RegistryFollower(registry, {
      isBehind: () => this.registrations.isBehind(),
      takeUp: () => this.registrations.takeUp(),
      onTrouble,
    });
    this.#closers.push(() => follower.close());
    return follower;
  }
}
