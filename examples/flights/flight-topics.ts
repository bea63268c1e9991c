/**
 * The flights' topics on Kafka, and who sends to them: the system that has the events, in the order in which they
 * became known, each record stamped with that time.
 */
import { DuckDBInstance } from "@duckdb/node-api";
import { Admin, ProduceAcks, Producer } from "@platformatic/kafka";
import { arrivals, departures } from "./features.ts";

export type Source = "departures" | "arrivals";

interface TimedEvent {
  readonly timeMicros: number;
  /** JSON. */
  readonly text: string;
}

const TOPICS: Readonly<Record<Source, string>> = {
  departures: departures.kafka!.topic,
  arrivals: arrivals.kafka!.topic,
};
const RECORDS_A_REQUEST = 2000;

export class FlightTopics {
  readonly #admin: Admin;
  readonly #producer: Producer;
  readonly sent: Record<Source, number> = { departures: 0, arrivals: 0 };

  private constructor(address: string) {
    const options = { clientId: "flights", bootstrapBrokers: address.split(",") };
    this.#admin = new Admin(options);
    this.#producer = new Producer({ ...options, acks: ProduceAcks.ALL });
  }

  /** Makes the topics. Those of a run before are deleted first. */
  static async create(address: string): Promise<FlightTopics> {
    const topics = new FlightTopics(address);
    await topics.#deleteWhere((name) => Object.values(TOPICS).includes(name));
    // One partition: the one order of a source, as the table of flights has it.
    // And nothing deleted for its age: the records' times are of 2001.
    const configs = [{ name: "retention.ms", value: "-1" }];
    await topics.#admin.createTopics({ topics: Object.values(TOPICS), partitions: 1, replicas: 1, configs });
    return topics;
  }

  /** Sends the events of a Parquet file that `prepareFlights` made. */
  async sendFile(source: Source, path: string, onSent: (count: number) => void): Promise<void> {
    const time = source === "departures" ? "departed_at" : "arrived_at";
    const columns =
      source === "departures"
        ? [iso("departed_at"), "origin", "destination"]
        : [iso("departed_at"), iso("arrived_at"), "origin", "destination", "delay"];
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    try {
      await connection.run("SET TimeZone = 'UTC'");
      const result = await connection.stream(
        `SELECT epoch_us(${time})::DOUBLE, to_json(struct_pack(flight := flight, ${columns.map(named).join(", ")}))::VARCHAR
         FROM read_parquet('${path.replaceAll("'", "''")}') ORDER BY ${time}, flight`,
      );
      for (;;) {
        const chunk = await result.fetchChunk();
        if (chunk === null || chunk.rowCount === 0) break;
        const [times, texts] = chunk.getColumns() as [number[], string[]];
        await this.send(
          source,
          times.map((timeMicros, i) => ({ timeMicros, text: texts[i]! })),
        );
        onSent(this.sent[source]);
      }
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  }

  /** Resolves once all are on the broker, in this order. */
  async send(source: Source, events: readonly TimedEvent[]): Promise<void> {
    for (let from = 0; from < events.length; from += RECORDS_A_REQUEST) {
      const messages = events.slice(from, from + RECORDS_A_REQUEST).map(({ timeMicros, text }) => ({
        topic: TOPICS[source],
        partition: 0,
        value: Buffer.from(text),
        timestamp: BigInt(timeMicros / 1000),
      }));
      await this.#producer.send({ messages, acks: ProduceAcks.ALL });
    }
    this.sent[source] += events.length;
  }

  /** Deletes these topics and those that workers made under `prefix`. */
  async remove(prefix: string): Promise<void> {
    await this.#deleteWhere((name) => name.startsWith(`${prefix}.`) || Object.values(TOPICS).includes(name));
  }

  async close(): Promise<void> {
    await Promise.all([this.#producer.close(), this.#admin.close()]);
  }

  async #deleteWhere(isOurs: (name: string) => boolean): Promise<void> {
    const listed = async (): Promise<string[]> => (await this.#admin.listTopics()).filter(isOurs);
    const topics = await listed();
    if (topics.length === 0) return;
    await this.#admin.deleteTopics({ topics });
    while ((await listed()).length > 0) await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** `column AS name` becomes `name := column`. */
function named(column: string): string {
  const [expression, name = expression] = column.split(" AS ");
  return `"${name}" := ${expression}`;
}

function iso(column: string): string {
  return `strftime(${column}, '%Y-%m-%dT%H:%M:%SZ') AS ${column}`;
}
