/** Cases a and d: what one worker sustains from Kafka into Redis, and two. */
import type { KafkaConnection } from "../../src/ingest/kafka/connection.ts";
import { countRecords, writeRawValues } from "./plain-consumers.ts";
import type { StreamRun } from "./run.ts";
import { type Addresses, WorkerGroup } from "./worker-group.ts";

export async function oneWorker(run: StreamRun, connection: KafkaConnection, addresses: Addresses): Promise<void> {
  const { rounds, kafkaEvents, accounts } = run.size;
  const [worker, counting, writing]: [number[], number[], number[]] = [[], [], []];
  const group = await WorkerGroup.start(connection, addresses, 1);
  try {
    for (let round = 0; round < rounds; round++) {
      const from = await connection.offsets(group.topic, "end");
      worker.push(await group.rate(kafkaEvents, accounts));
      counting.push(await countRecords(connection, group.topic, from));
      writing.push(await writeRawValues(connection, group.topic, from, addresses.redisUrl));
    }
  } finally {
    await group.stop();
  }
  const measured = { unit: "events/s", better: "higher", rounds: worker } as const;
  run.report({
    ...measured,
    case: "a-worker-beside-raw-writes",
    reference: { name: "consumer-writes-raw-values", rounds: writing },
  });
  run.report({
    ...measured,
    case: "a-worker-beside-counting",
    reference: { name: "consumer-counts", rounds: counting },
  });
}

export async function twoWorkers(run: StreamRun, connection: KafkaConnection, addresses: Addresses): Promise<void> {
  const { rounds, kafkaEvents, accounts } = run.size;
  const [one, two]: [number[], number[]] = [[], []];
  // One group at a time: workers that only wait take processor time, too.
  for (let round = 0; round < rounds; round++) {
    for (const [count, rates] of [
      [1, one],
      [2, two],
    ] as const) {
      const group = await WorkerGroup.start(connection, addresses, count);
      try {
        rates.push(await group.rate(kafkaEvents, accounts));
      } finally {
        await group.stop();
      }
    }
  }
  run.report({
    case: "d-two-workers",
    unit: "events/s",
    better: "higher",
    rounds: two,
    reference: { name: "one-worker", rounds: one },
  });
}
