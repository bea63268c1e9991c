/**
 * Apache Kafka: one broker that is its own controller (KRaft).
 */
import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "./free-port.ts";
import { locate } from "./locate.ts";
import { invoke, inNewFolder, startable, type Startable } from "./program.ts";
import { type Faults, ServerProcess } from "./server-process.ts";

/** Quick to start rather than quick to run, and small. */
const JVM = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
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
  return inNewFolder("kafka", (folder) => startIn(folder, located, options));
}

async function startIn(folder: string, located: Startable, options: KafkaOptions): Promise<KafkaBroker> {
  const port = await freePort(options.preferredPort);
  const controllerPort = await freePort();
  const address = `127.0.0.1:${port}`;
  const dataFolder = join(folder, "data");
  await mkdir(dataFolder);
  const properties = { ...brokerProperties(address, controllerPort), "log.dirs": dataFolder, ...options.config };
  const configFile = join(folder, "server.properties");
  const lines = Object.entries(properties).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(configFile, lines.join(""));
  await runJava(located, folder, ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", configFile]);
  const java = invoke(located, { program: "java", args: javaArgs(located, ["kafka.Kafka", configFile]), folder });
  const server = await ServerProcess.start({
    name: "Kafka's broker",
    ...java,
    folder,
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

function javaArgs(located: Startable, command: readonly string[]): string[] {
  const classPath = located.from === "installed" ? located.path : "/opt/kafka/libs/*";
  return [...JVM, "-cp", classPath, ...command];
}

async function runJava(located: Startable, folder: string, command: readonly string[], input = ""): Promise<string> {
  const { program, args } = invoke(located, { program: "java", args: javaArgs(located, command), folder });
  const withInput = located.from === "docker" ? ["run", "-i", ...args.slice(1)] : args;
  const done = promisify(execFile)(program, withInput);
  done.child.stdin!.end(input);
  return (await done).stdout;
}
