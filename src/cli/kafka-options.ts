/**
 * Options of commands that reach Kafka, and what the environment and a file say in their place. Secrets come from the
 * environment or the file alone: a command line is there for all to read.
 */
import { readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { messageOf, OnefoldError } from "../base/errors.ts";
import { parseDuration } from "../base/micros.ts";
import type { KafkaGiven } from "../platform/kafka/kafka-worker.ts";
import type { WorkerTablesOptions } from "../platform/kafka/worker-tables.ts";
import { parseCount } from "./option-values.ts";

export interface KafkaOptions {
  readonly kafka?: string;
  readonly kafkaConfig?: string;
  readonly kafkaPrefix?: string;
  readonly partitions?: number;
  readonly replicas?: number;
  readonly session?: string;
  readonly instanceId?: string;
}

export function withKafkaOptions(command: Command): Command {
  return command
    .addOption(new Option("--kafka <hosts>", "Kafka's brokers, host:port[,host:port]").env("ONEFOLD_KAFKA"))
    .addOption(
      new Option("--kafka-config <file>", "JSON file with tls and sasl settings (docs/kafka.md)").env(
        "ONEFOLD_KAFKA_CONFIG",
      ),
    )
    .addOption(prefixOption());
}

/** Of commands that read events which workers have archived. */
export interface WorkerTableOptions {
  readonly archive?: string;
  readonly kafkaPrefix?: string;
}

/** `instead` are names of options that name events elsewhere. */
export function withWorkerTableOptions(command: Command, instead: readonly string[] = []): Command {
  return command
    .addOption(
      new Option("--archive <folder>", "offline tables of onefold worker: events of sources on Kafka").conflicts([
        ...instead,
      ]),
    )
    .addOption(prefixOption());
}

/** Settings of a platform that reads them. */
export function workerTablesOf({ archive: folder, kafkaPrefix: prefix }: WorkerTableOptions): {
  readonly workerTables?: WorkerTablesOptions;
} {
  return folder === undefined ? {} : { workerTables: { folder, ...(prefix === undefined ? {} : { prefix }) } };
}

function prefixOption(): Option {
  return new Option(
    "--kafka-prefix <name>",
    'what topics and groups made by workers begin with (default: "onefold")',
  ).env("ONEFOLD_KAFKA_PREFIX");
}

export function withWorkerOptions(command: Command): Command {
  return withKafkaOptions(command)
    .addOption(
      new Option("--partitions <number>", "partitions of internal topics when they are made (default: 16)").argParser(
        parseCount,
      ),
    )
    .addOption(
      new Option(
        "--replicas <number>",
        "copies of internal topics when they are made (default: the broker's)",
      ).argParser(parseCount),
    )
    .addOption(new Option("--session <duration>", "a worker silent for so long loses its partitions (default: 30s)"))
    .addOption(
      new Option(
        "--instance-id <name>",
        "a lasting name: back within the session, the worker takes up its partitions and no other moves",
      ).env("ONEFOLD_INSTANCE_ID"),
    );
}

/** Throws `REQUEST_INVALID` without brokers, `FILE_UNREADABLE`, `DURATION_INVALID`. */
export function kafkaSettingsOf(options: KafkaOptions): KafkaGiven {
  if (options.kafka === undefined || options.kafka.trim() === "") {
    throw new OnefoldError("REQUEST_INVALID", "no Kafka is named", {
      hint: "give --kafka host:port, or ONEFOLD_KAFKA",
    });
  }
  const brokers = options.kafka.split(",").map((broker) => broker.trim());
  for (const broker of brokers) {
    if (/^[^:\s]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/.test(broker)) continue;
    throw new OnefoldError("REQUEST_INVALID", `"${broker}" is not host:port`, { where: "--kafka" });
  }
  const { tls, sasl } = options.kafkaConfig === undefined ? {} : readConfig(options.kafkaConfig);
  const password = process.env["ONEFOLD_KAFKA_PASSWORD"];
  const username = process.env["ONEFOLD_KAFKA_USERNAME"];
  const given = {
    ...sasl,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  };
  return {
    brokers,
    ...(tls === undefined ? {} : { tls }),
    ...(Object.keys(given).length === 0 ? {} : { sasl: { mechanism: "PLAIN", ...given } as KafkaSasl }),
    ...(options.kafkaPrefix === undefined ? {} : { prefix: options.kafkaPrefix }),
    ...(options.partitions === undefined ? {} : { partitionCount: options.partitions }),
    ...(options.replicas === undefined ? {} : { replicas: options.replicas }),
    ...(options.session === undefined ? {} : { sessionMs: Math.ceil(parseDuration(options.session) / 1000) }),
    ...(options.instanceId === undefined ? {} : { instanceId: options.instanceId }),
  };
}

type KafkaTls = NonNullable<KafkaGiven["tls"]>;
type KafkaSasl = NonNullable<KafkaGiven["sasl"]>;

const TLS_MEMBERS: readonly string[] = ["caFile", "certFile", "keyFile"];
const SASL_MEMBERS: readonly string[] = ["mechanism", "username", "password", "token"];

function readConfig(file: string): { readonly tls?: KafkaTls; readonly sasl?: KafkaSasl } {
  let config: Record<string, unknown>;
  try {
    config = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  } catch (cause) {
    throw new OnefoldError("FILE_UNREADABLE", `the Kafka settings cannot be read: ${messageOf(cause)}`, {
      where: file,
      cause,
    });
  }
  const check = (name: string, members: readonly string[]): Record<string, string> | undefined => {
    const value = config[name];
    if (value === undefined) return undefined;
    const isGood =
      typeof value === "object" &&
      value !== null &&
      Object.entries(value).every(([member, text]) => members.includes(member) && typeof text === "string");
    if (isGood) return value as Record<string, string>;
    throw new OnefoldError("FILE_UNREADABLE", `"${name}" holds ${members.join(", ")}, as text`, { where: file });
  };
  const unknown = Object.keys(config).find((name) => name !== "tls" && name !== "sasl");
  if (unknown !== undefined) {
    throw new OnefoldError("FILE_UNREADABLE", `there is no setting "${unknown}": there are tls and sasl`, {
      where: file,
    });
  }
  const tls = check("tls", TLS_MEMBERS);
  const sasl = check("sasl", SASL_MEMBERS) as KafkaSasl | undefined;
  return { ...(tls === undefined ? {} : { tls }), ...(sasl === undefined ? {} : { sasl }) };
}
