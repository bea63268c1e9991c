/**
 * The life of a worker, a process that `Platform.serveWorkers` has started. Told what to serve, it opens its
 * house, compiles the plans of all services, and only then opens its doors, so that whoever connects meets a warm
 * process. It ends when the owner or a signal tells it to, once its requests under way are answered; and at once
 * when the owner is gone, for nobody would tell it of what changes.
 */
import { systemClock } from "../../base/clock.ts";
import { OnefoldError } from "../../base/errors.ts";
import { serviceReference } from "../../define/service-version.ts";
import { AskLink } from "./ask-link.ts";
import { errorToWire } from "../../base/wire-error.ts";
import type { HouseStatus, Message, WorkerSettings } from "./messages.ts";
import { openWorkerHouse, type WorkerHouse, type WorkerOptions } from "./worker-house.ts";

/**
 * Serves as a worker of the process that started this one; resolves once it has stopped and the process ends.
 * Throws `WORKERS_FAILED` in a process that is no worker.
 */
export async function serveAsWorker(options: WorkerOptions = {}): Promise<void> {
  if (process.send === undefined) {
    throw new OnefoldError("WORKERS_FAILED", "this process was not started as a worker", {
      hint: "start workers with onefold serve --workers N, or with platform.serveWorkers()",
    });
  }
  const owner = listenToOwner();
  try {
    await serve(await owner.link.ask("settings", null), options, owner);
  } catch (error) {
    await tell({ kind: "failed", error: errorToWire(error) });
  }
  process.disconnect();
}

async function serve(settings: WorkerSettings, options: WorkerOptions, owner: Owner): Promise<void> {
  const { clock = systemClock } = options;
  const house = await openWorkerHouse(settings, { ...options, clock }, owner.link);
  try {
    compilePlans(house);
    await house.open();
    owner.serveFrom(house);
    await tell({ kind: "warm" });
    await owner.stopped;
  } finally {
    await house.close();
  }
  await tell({ kind: "counted", values: await house.metrics.values() });
}

function compilePlans({ reader, ports }: WorkerHouse): void {
  for (const { definition } of ports.registry.services()) {
    for (const name of [definition.name, serviceReference(definition)]) {
      try {
        reader.servicePlan(name);
      } catch {
        // What keeps one service from being served is told to whoever asks for it, and keeps no other from it.
      }
    }
  }
}

/** The owner, as a worker knows it. */
interface Owner {
  readonly link: AskLink;
  /** Resolves when it is time to stop: the owner says so, or a signal does. */
  readonly stopped: Promise<void>;
  /** The house that questions are answered from; they wait for it. */
  serveFrom(house: WorkerHouse): void;
}

function listenToOwner(): Owner {
  let status: HouseStatus | null = null;
  let house: WorkerHouse | null = null;
  let stop!: () => void;
  let open!: (house: WorkerHouse) => void;
  const opened = new Promise<WorkerHouse>((resolve) => (open = resolve));
  // One after the other: of two that overlap, the one that read first could be the one that counts.
  let reloading: Promise<unknown> = Promise.resolve();
  const link = new AskLink(sendNow, {
    alive: async () => null,
    metricValues: async () => (await opened).metrics.values(),
    flushServingLog: async () => {
      await (await opened).flushServingLog();
      return null;
    },
    flushDrift: async () => {
      await (await opened).flushDrift();
      return null;
    },
    reload: async () => {
      const reloaded = reloading.then(async () => (await opened).reload());
      reloading = reloaded.catch(() => undefined);
      await reloaded;
      return null;
    },
  });
  const owner: Owner = {
    link,
    stopped: new Promise((resolve) => (stop = resolve)),
    serveFrom: (served) => {
      house = served;
      if (status !== null) house.told(status);
      open(served);
    },
  };
  process.on("message", (message: Message) => {
    if (link.receive(message)) return;
    if (message.kind === "stop") stop();
    if (message.kind === "status") {
      status = message.status;
      house?.told(status);
    }
  });
  process.on("SIGTERM", stop).on("SIGINT", stop);
  return owner;
}

/** Resolves once it is on its way, or cannot be any more. */
function tell(message: Message): Promise<void> {
  return new Promise((resolve) => {
    if (!process.connected) return resolve();
    process.send!(message, undefined, undefined, () => resolve());
  });
}

/** Throws where the message cannot be written. */
function sendNow(message: Message): void {
  if (process.connected) process.send!(message, undefined, undefined, () => undefined);
}
