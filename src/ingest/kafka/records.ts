/**
 * Records of Apache Kafka and the places that they stand at, in Onefold's own words: what the loops of a worker are written
 * in, whatever client library brings it.
 */
export interface TopicFacts {
  readonly name: string;
  /** Another one where a topic was deleted and made anew. */
  readonly id: string;
  readonly partitionCount: number;
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface FetchFrom extends TopicPartition {
  readonly offset: number;
}

/** As a group holds it, with what is to be found beside it again. */
export interface GroupPosition extends FetchFrom {
  readonly note?: string | null;
}

export interface KafkaRecord {
  readonly offset: number;
  /** Of its creation, or of its append where the topic stamps that. */
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  headers(): Map<string, Buffer>;
}

export interface FetchedPartition extends TopicPartition {
  /** What was asked for. */
  readonly fromOffset: number;
  readonly records: readonly KafkaRecord[];
  /** Where to go on: behind the records, and behind those that are not shown (aborted, control). */
  readonly nextOffset: number;
  /** End of what can be read now. */
  readonly endOffset: number;
}

export interface NewRecord extends TopicPartition {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: ReadonlyMap<string, string | Buffer>;
  /** Its key is a record key that no other record has: where it has to be written once more, it gets another. */
  readonly hasOwnKey?: true;
}

export interface NewTopic {
  readonly name: string;
  readonly partitionCount: number;
  readonly replicas: number;
  readonly configs: Readonly<Record<string, string>>;
}
