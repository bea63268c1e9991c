/**
 * `onefold worker`: routes and folds its share of Kafka's partitions until it is told to stop.
 */
import { Command, Option } from "commander";
import { OnefoldError } from "../../base/errors.ts";
import { parseDuration } from "../../base/micros.ts";
import { kafkaSettingsOf, type KafkaOptions, withWorkerOptions } from "../kafka-options.ts";
import type { WorkerHealth } from "../../platform/kafka/worker-door.ts";
import { parseAmount, parseCount, parsePort, parseShare } from "../option-values.ts";
import { createOutput, errorLines } from "../output.ts";
import { requireDefinitions, type StandardOptions, withStandardOptions } from "../standard-options.ts";
import { nextStopSignal } from "../stop-signal.ts";

interface WorkerOptions extends StandardOptions, KafkaOptions {
  readonly online?: string;
  readonly archive?: string;
  readonly archiveEvery?: string;
  readonly profileEvery: number;
  readonly driftSample: number;
  readonly drafts?: true;
  readonly states?: number;
  readonly port?: number;
  readonly host: string;
}

const PROGRESS_MS = 10_000;

/** The same trouble is told again only after a while. */
function oncePerWhile(tell: (error: OnefoldError) => void): (error: OnefoldError) => void {
  const toldAt = new Map<string, number>();
  return (error) => {
    const now = performance.now();
    if (now - (toldAt.get(error.message) ?? Number.NEGATIVE_INFINITY) < PROGRESS_MS) return;
    toldAt.set(error.message, now);
    tell(error);
  };
}

function progressLine(health: WorkerHealth): string {
  const { routed, folded, duplicates, dead_letters, partitions, route_lag, fold_lag } = health;
  return [
    `routed ${counted(routed, "event")}, folded ${folded} (once for each key)`,
    `${counted(duplicates, "duplicate")}, ${counted(dead_letters, "dead letter")}`,
    `${counted(partitions, "partition")}, behind by ${counted(route_lag, "record")} to route and ${fold_lag} to fold`,
  ].join("; ");
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

export function workerCommand(): Command {
  const command = new Command("worker").description("fold events from Kafka topics into an online store on Redis");
  withWorkerOptions(command)
    .addOption(new Option("--online <url>", "online store: redis://host:port (docs/redis.md)").env("ONEFOLD_ONLINE"))
    .addOption(new Option("--archive <folder>", "move events to offline tables in this folder (default: none)"))
    .addOption(new Option("--archive-every <duration>", "time between two moves to offline tables (default: 10s)"))
    .addOption(
      new Option("--profile-every <seconds>", "bring profiles of what is archived up to date so often; 0 never")
        .default(60)
        .argParser(parseAmount),
    )
    .addOption(
      new Option("--drift-sample <share>", "share of the events whose values are looked at for drift, 0 to 1")
        .default(0.005)
        .argParser(parseShare),
    )
    .addOption(new Option("--drafts", "fold drafts (view@dev), too: each change of one from the beginning"))
    .addOption(new Option("--states <number>", "states kept in memory (default: 500000)").argParser(parseCount))
    .addOption(
      new Option("--port <number>", "port for /health and /metrics; 0 takes a free one (default: none)").argParser(
        parsePort,
      ),
    )
    .addOption(new Option("--host <address>", "address to listen on").default("127.0.0.1"))
    .action(async (options: WorkerOptions) => {
      const output = createOutput(options.json === true);
      const kafka = kafkaSettingsOf(options);
      if (options.online === undefined || options.online.trim() === "") {
        throw new OnefoldError("REQUEST_INVALID", "no online store is named", {
          hint: "give --online redis://host:port, or ONEFOLD_ONLINE",
        });
      }
      const definitions = await requireDefinitions(options);
      const [{ startKafkaWorker }, { healthOf, openWorkerDoor }, { workerNotes }] = await Promise.all([
        import("../../platform/kafka/kafka-worker.ts"),
        import("../../platform/kafka/worker-door.ts"),
        import("../../platform/kafka/worker-notes.ts"),
      ]);
      for (const note of workerNotes(definitions, options.drafts === true)) output.note(`note: ${note}`);
      const stopped = nextStopSignal().then(() => null);
      output.note(`connecting to Kafka at ${kafka.brokers.join(",")}, and to the online store`);
      const password = process.env["ONEFOLD_REDIS_PASSWORD"];
      const worker = await startKafkaWorker({
        definitions,
        kafka,
        onlineUrl: options.online,
        ...(password === undefined ? {} : { onlinePassword: password }),
        ...(options.archive === undefined ? {} : { archiveFolder: options.archive }),
        ...(options.archiveEvery === undefined
          ? {}
          : { archiveIntervalMs: Math.ceil(parseDuration(options.archiveEvery) / 1000) }),
        driftSampleRate: options.driftSample,
        profileIntervalMs: options.profileEvery * 1000,
        ...(options.drafts === undefined ? {} : { drafts: options.drafts }),
        ...(options.states === undefined ? {} : { statesMax: options.states }),
        onTrouble: oncePerWhile((error) => process.stderr.write(`${errorLines(error).join("\n")}\n  tried again\n`)),
      });
      const { port, host } = options;
      let failure: OnefoldError | null;
      let telling: NodeJS.Timeout | undefined;
      const door = port === undefined ? null : await openWorkerDoor({ host, port }, () => worker.progress);
      try {
        const urls = door === null ? {} : { url: door.url };
        output.result({ ...urls, kafka: kafka.brokers.join(",") }, () => {
          const told = door === null ? "" : `; ${door.url}/health and /metrics tell how far it is`;
          return `folding from ${kafka.brokers.join(",")} (Ctrl-C stops)${told}`;
        });
        let shown = "";
        telling = setInterval(() => {
          const line = progressLine(healthOf(worker.progress));
          if (line !== shown) output.note(line);
          shown = line;
        }, PROGRESS_MS);
        failure = await Promise.race([stopped, worker.failed]);
        output.note(`${progressLine(healthOf(worker.progress))}\nstopping: the batch at hand is finished`);
      } finally {
        clearInterval(telling);
        await door?.close();
        await worker.stop();
      }
      if (failure !== null) throw failure;
    });
  return withStandardOptions(command);
}
