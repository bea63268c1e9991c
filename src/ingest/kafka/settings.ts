/**
 * How to reach Kafka, and how a worker behaves in its groups. Never part of a definition.
 */

export interface KafkaTls {
  /** Files in PEM; without `caFile` the system's certificate authorities count. */
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
}

export interface KafkaSasl {
  readonly mechanism: "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" | "OAUTHBEARER";
  readonly username?: string;
  readonly password?: string;
  readonly token?: string;
}

export interface KafkaSettings {
  /** `host:port`, at least one. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly tls?: KafkaTls;
  readonly sasl?: KafkaSasl;
  /** First part of the names of topics and groups that are Onefold's own. */
  readonly prefix: string;
  /** A worker that comes back under this name within `sessionMs` takes up its partitions, and no other moves. */
  readonly instanceId?: string;
  /** A worker that is silent for so long loses its partitions. */
  readonly sessionMs: number;
  /** Partitions of an internal topic when it is made; never changed after. */
  readonly partitionCount: number;
  /** Copies of each internal topic when it is made; -1 takes the broker's default. */
  readonly replicas: number;
  /** Bytes asked for at once, of one partition and of all. */
  readonly partitionBytesMax: number;
  readonly fetchBytesMax: number;
}

const DEFAULTS: Omit<KafkaSettings, "brokers"> = {
  clientId: "onefold",
  prefix: "onefold",
  sessionMs: 30_000,
  partitionCount: 16,
  replicas: -1,
  partitionBytesMax: 1024 * 1024,
  fetchBytesMax: 8 * 1024 * 1024,
};

/** Settings with the defaults for what is not given. */
export function kafkaSettings(given: Partial<KafkaSettings> & Pick<KafkaSettings, "brokers">): KafkaSettings {
  return { ...DEFAULTS, ...given };
}
