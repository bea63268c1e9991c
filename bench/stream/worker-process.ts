/**
 * A worker as a process of its own. It says over IPC how far it is, each time that has changed.
 */
import { startKafkaWorker } from "../../src/platform/kafka/kafka-worker.ts";
import { PARTITIONS, workload } from "./workload.ts";

export interface WorkerTask {
  readonly kafka: string;
  readonly redisUrl: string;
  readonly topic: string;
  readonly prefix: string;
}

export interface WorkerTold {
  readonly routed: number;
  readonly folded: number;
  readonly partitions: number;
}

const TELL_MS = 2;

const { kafka, redisUrl, topic, prefix } = JSON.parse(process.argv[2]!) as WorkerTask;
const worker = await startKafkaWorker({
  definitions: workload(topic).definitions,
  kafka: { brokers: [kafka], prefix, partitionCount: PARTITIONS },
  onlineUrl: redisUrl,
  onTrouble: (error) => console.error(error.message),
});
let last = "";
const telling = setInterval(() => {
  const { route, fold } = worker.progress;
  const told: WorkerTold = { routed: route.events, folded: fold.events, partitions: fold.partitions.length };
  const text = JSON.stringify(told);
  if (text !== last) process.send!(told);
  last = text;
}, TELL_MS);
const stop = async (): Promise<void> => {
  clearInterval(telling);
  await worker.stop();
  process.disconnect();
};
process.once("SIGTERM", () => void stop());
void worker.failed.then((error) => {
  console.error(error);
  process.exit(1);
});
