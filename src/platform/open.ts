/**
 * Opens what runs features. Apart from what defines them, and loaded when it is called: who only defines features, or looks at
 * definitions, as most commands do, does not load the engine, the servers and the stores for it, which takes half a second.
 */
import type { Platform } from "../platform.ts";
import type { OnlineServer, OnlineServerOptions } from "./online/online-server.ts";
import type { PlatformOptions } from "./platform-options.ts";
import type { TrainingJobOptions } from "./training-jobs/run-training-job.ts";
import type { WorkerOptions } from "./workers/worker-house.ts";

/**
 * Opens a data folder. Throws `DATA_FOLDER_MISSING`, `DATA_FOLDER_FORMAT`, `STORAGE_LOCKED`, `STORAGE_FAILED`,
 * `LOG_CORRUPT`, and of a registry in a database `REGISTRY_UNREACHABLE`, `REGISTRY_DENIED`, `REGISTRY_TOO_NEW`, `REGISTRY_MISMATCH`.
 */
export async function openPlatform(options: PlatformOptions): Promise<Platform> {
  const { openPlatform: open } = await import("../platform.ts");
  return open(options);
}

/**
 * Opens a server that folds nothing and serves from Redis; resolves once the store answers. Throws `DATA_FOLDER_MISSING`,
 * `REGISTRY_CORRUPT`, `STORE_UNAVAILABLE`, `STORE_TIMEOUT`, `DATA_FOLDER_FORMAT`, `STORE_FORMAT`, `REQUEST_INVALID`.
 */
export async function openOnlineServer(options: OnlineServerOptions): Promise<OnlineServer> {
  const { openOnlineServer: open } = await import("./online/online-server.ts");
  return open(options);
}

/** Resolves once the work is done, or has failed, and that was told. Throws `TRAINING_INTERRUPTED` in a process that was not started for it. */
export async function runTrainingJob(options: TrainingJobOptions = {}): Promise<void> {
  const { runTrainingJob: runJob } = await import("./training-jobs/run-training-job.ts");
  return runJob(options);
}

/**
 * Serves as a worker of the process that started this one; resolves once it has stopped and the process ends.
 * Throws `WORKERS_FAILED` in a process that is no worker.
 */
export async function serveAsWorker(options: WorkerOptions = {}): Promise<void> {
  const { serveAsWorker: serve } = await import("./workers/serve-worker.ts");
  return serve(options);
}
