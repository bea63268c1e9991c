/**
 * What Kafka's client asks of a group, in the three places where it does not let its caller say it: a position is
 * committed with a note beside it, notes are read with the positions, and a static member that stops does not leave.
 *
 * The client looks up each kind of request by name before it sends one: that look-up is what is changed here, of one
 * consumer and not of the library.
 */

/** As the client calls it: its arguments, then a callback. */
type Request = (...args: readonly unknown[]) => void;
type Answer = (error: unknown, response: unknown) => void;
type LookUp = (name: string, callback: (error: unknown, request: Request) => void) => void;

interface NotedPosition {
  readonly topic: string;
  readonly partition: number;
  readonly note?: string | null;
}

interface CommittedTopic {
  readonly name: string;
  readonly partitions: readonly { readonly partitionIndex: number; readonly metadata: string | null }[];
}

export class GroupRequests {
  /** Notes to commit, by `topic/partition`. */
  #notes: ReadonlyMap<string, string> = new Map();
  /** Notes that the last answer about committed positions held, by `topic/partition`. */
  readonly notesRead: Map<string, string> = new Map();
  /** Whether the group is told when the consumer is closed. */
  leaves = true;

  /** `lookUp` is the property by which the client looks up requests. */
  constructor(consumer: object, lookUp: symbol) {
    const known = consumer as Record<symbol, LookUp>;
    const original = known[lookUp]!.bind(consumer);
    known[lookUp] = (name, callback) => {
      if (name === "LeaveGroup" && !this.leaves) callback(null, (...args) => answerTo(args)(null, {}));
      else original(name, (error, request) => callback(error, error ? request : this.#changed(name, request)));
    };
  }

  /** What is to stand beside these positions once they are committed, and beside no other. */
  toNote(positions: readonly NotedPosition[]): void {
    const noted = positions.filter(({ note = null }) => note !== null);
    this.#notes = new Map(noted.map(({ topic, partition, note }) => [`${topic}/${partition}`, note!]));
  }

  #changed(name: string, request: Request): Request {
    if (name === "OffsetCommit") return (...args) => request(...this.#withNotes(args));
    if (name === "OffsetFetch") return (...args) => request(...args.slice(0, -1), this.#noting(answerTo(args)));
    return request;
  }

  /** The topics are the last argument before the callback. */
  #withNotes(args: readonly unknown[]): readonly unknown[] {
    const topics = (args.at(-2) as { name: string; partitions: { partitionIndex: number }[] }[]).map((topic) => ({
      ...topic,
      partitions: topic.partitions.map((partition) => ({
        ...partition,
        committedMetadata: this.#notes.get(`${topic.name}/${partition.partitionIndex}`) ?? null,
      })),
    }));
    return [...args.slice(0, -2), topics, args.at(-1)];
  }

  #noting(answer: Answer): Answer {
    return (error, response) => {
      const { groups = [] } = (response ?? {}) as { readonly groups?: readonly { topics: CommittedTopic[] }[] };
      for (const { name, partitions } of groups.flatMap(({ topics }) => topics)) {
        for (const { partitionIndex, metadata } of partitions) {
          this.notesRead.delete(`${name}/${partitionIndex}`);
          if (metadata !== null && metadata !== "") this.notesRead.set(`${name}/${partitionIndex}`, metadata);
        }
      }
      answer(error, response);
    };
  }
}

function answerTo(args: readonly unknown[]): Answer {
  return args.at(-1) as Answer;
}
