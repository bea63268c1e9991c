/**
 * Apache Kafka: one broker that is its own controller (KRaft).
 */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { hostname } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "./free-port.ts";
import { locate } from "./locate.ts";
import { versionOf } from "./maven-jars.ts";
import { inNewFolder, invoke, startable, type Startable, startInNewFolder } from "./program.ts";
import { root } from "./root.ts";
import { type Faults, ServerProcess } from "./server-process.ts";
import { NotStarted, startAnew } from "./start-anew.ts";

const JVM = [
  // Quick to start rather than quick to run, and small.
  "-Xmx512m",
  "-XX:+UseSerialGC",
  "-XX:TieredStopAtLevel=1",
  // What may hold a JVM up for reasons of the machine: statistics in a mapped file, seeds that wait for entropy.
  "-XX:-UsePerfData",
  "-Djava.security.egd=file:/dev/urandom",
  "-Djava.net.preferIPv4Stack=true",
];
const FORMAT_MS_MAX = 60_000;
const CLUSTER_ID = "b25lZm9sZC1rYWZrYS0xLg";

export interface KafkaOptions {
  /** Further lines of server.properties. */
  readonly config?: Readonly<Record<string, string>>;
  /** Where it is free. */
  readonly preferredPort?: number;
}

export interface KafkaBroker extends Faults {
  /** `127.0.0.1:PORT` */
  readonly address: string;
  /** One of Kafka's own tools ("org.apache.kafka.tools.TopicCommand"): what it printed to its standard output. */
  tool(mainClass: string, args: readonly string[], input?: string): Promise<string>;
  close(): Promise<void>;
}

export async function startKafka(options: KafkaOptions = {}): Promise<KafkaBroker> {
  const located = await startable("kafka");
  return startInNewFolder("kafka", (folder) => startIn(folder, located, options));
}

async function startIn(folder: string, located: Startable, options: KafkaOptions): Promise<KafkaBroker> {
  const port = await freePort(options.preferredPort);
  const controllerPort = await freePort();
  const address = `127.0.0.1:${port}`;
  const dataFolder = join(folder, "data");
  await cp(await formattedFolder(located), dataFolder, { recursive: true });
  const properties = { ...brokerProperties(address, controllerPort), "log.dirs": dataFolder, ...options.config };
  const configFile = await writeProperties(folder, properties);
  const args = await javaArgs(located, folder, ["kafka.Kafka", configFile]);
  const java = invoke(located, { program: "java", args, folder });
  const server = await ServerProcess.start({
    name: "Kafka's broker",
    ...java,
    folder,
    dumpSignal: "SIGQUIT",
    isReady: (output) => output.includes("Kafka Server started"),
  });
  return {
    address,
    tool: (mainClass, args, input) =>
      runJava(located, folder, [mainClass, "--bootstrap-server", address, ...args], input),
    kill: () => server.kill(),
    pause: () => server.pause(),
    resume: () => server.resume(),
    restart: () => server.restart(),
    close: () => server.close(),
  };
}

/** Lines of server.properties, but for where its data is; compose.yaml has the same. */
export function brokerProperties(address: string, controllerPort: number): Record<string, string> {
  return {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.quorum.voters": `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://${address},CONTROLLER://127.0.0.1:${controllerPort}`,
    "advertised.listeners": `PLAINTEXT://${address}`,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    // One broker can hold one copy.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
  };
}

/** Whatever there is for tests that kill nothing: the one the environment names, else one of our own. */
export async function openKafka(
  options: KafkaOptions = {},
): Promise<{ readonly address: string; close(): Promise<void> }> {
  const located = await locate("kafka");
  if (located.from !== "address") return startKafka(options);
  const [first = ""] = located.address.split(",");
  const url = new URL(`kafka://${first}`);
  await new Promise<void>((resolve, reject) => {
    const socket = connect(Number(url.port), url.hostname);
    socket.once("error", reject).once("connect", () => {
      socket.destroy();
      resolve();
    });
  });
  return { address: located.address, close: () => Promise.resolve() };
}

/**
 * A data folder as Kafka's own tool formats it for the first start, the same for all brokers of a version: made once, whole
 * or not at all, in `.cache/kafka/`.
 */
async function formattedFolder(located: Startable): Promise<string> {
  const made = join(root, ".cache", "kafka", `${await versionOf("kafka")}-formatted`);
  if (existsSync(made)) return made;
  const pending = `${made}.${randomUUID()}.pending`;
  try {
    await startAnew(() => inNewFolder("kafka-format", (folder) => format(located, folder, pending)));
    await rename(pending, made).catch((error: NodeJS.ErrnoException) => {
      // Another process was first.
      if (!existsSync(made)) throw error;
    });
  } finally {
    await rm(pending, { recursive: true, force: true });
  }
  return made;
}

async function format(located: Startable, folder: string, to: string): Promise<void> {
  const dataFolder = join(folder, "data");
  await mkdir(dataFolder);
  const properties = { ...brokerProperties("127.0.0.1:9092", 9093), "log.dirs": dataFolder };
  const configFile = await writeProperties(folder, properties);
  const command = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", configFile];
  await runJava(located, folder, command, "", FORMAT_MS_MAX).catch((error: Error & { readonly killed?: boolean }) => {
    if (error.killed !== true) throw error;
    throw new NotStarted(`Kafka's StorageTool is not done after ${FORMAT_MS_MAX / 1000} s: ${error.message}`);
  });
  await rm(to, { recursive: true, force: true });
  await cp(dataFolder, to, { recursive: true });
}

async function writeProperties(folder: string, properties: Readonly<Record<string, string>>): Promise<string> {
  const file = join(folder, "server.properties");
  const lines = Object.entries(properties).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(file, lines.join(""));
  return file;
}

/** A JVM that looks names up in a file alone: it asks no name server that may not answer for this machine's own name. */
async function javaArgs(located: Startable, folder: string, command: readonly string[]): Promise<string[]> {
  const hosts = join(folder, "hosts");
  await writeFile(hosts, `127.0.0.1 localhost ${hostname()}\n`);
  const classPath = located.from === "installed" ? located.path : "/opt/kafka/libs/*";
  return [...JVM, `-Djdk.net.hosts.file=${hosts}`, "-cp", classPath, ...command];
}

/** With `msMax`, killed after that. */
async function runJava(
  located: Startable,
  folder: string,
  command: readonly string[],
  input = "",
  msMax = 0,
): Promise<string> {
  const { program, args } = invoke(located, {
    program: "java",
    args: await javaArgs(located, folder, command),
    folder,
  });
  const withInput = located.from === "docker" ? ["run", "-i", ...args.slice(1)] : args;
  const done = promisify(execFile)(program, withInput, { timeout: msMax, killSignal: "SIGKILL" });
  done.child.stdin!.end(input);
  return (await done).stdout;
}
