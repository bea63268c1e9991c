/**
 * What a command is, and what it sees of the door and of its connection.
 */
import type { EntityKey } from "../../schema/entity-key.ts";
import type { FeatureReader, VectorAsk } from "../feature-reader.ts";
import type { ServePorts } from "../ports.ts";
import type { Asked } from "../kept-answers.ts";
import type { VectorPlan } from "../vector-plan.ts";
import type { ReplyWriter } from "./reply-writer.ts";

/** What a connection is and has said of itself. The protocol it speaks is its writer's. */
export interface Session {
  readonly id: number;
  isAuthenticated: boolean;
  /** Set by `CLIENT SETNAME` or `HELLO`; empty without. */
  name: string;
  /** The connection ends once the reply is sent. */
  isEnding: boolean;
}

/** The door as commands see it; the same for all its connections. */
export interface Door {
  readonly reader: FeatureReader;
  readonly ports: ServePorts;
  readonly version: string;
  /** Null where none is asked for. */
  readonly password: Password | null;
  readonly connectionsMax: number;
  connectionCount(): number;
  /** All commands there are, by name in lower case. */
  readonly commands: ReadonlyMap<string, Command>;
}

export interface Password {
  matches(bytes: string): boolean;
}

export interface Call {
  readonly door: Door;
  readonly session: Session;
  readonly out: ReplyWriter;
  /** Writes an error as the reply, or as one of the replies that a call's own reply consists of. */
  fail(error: unknown, command: string): void;
  /** The same as the JSON that HTTP answers with: `{"error": {...}}` in one bulk string. */
  failAsJson(error: unknown, command: string): void;
  /**
   * To be called behind a reply that was made of nothing but the values that the plan has just read for these keys:
   * the same request is answered with the same bytes, as long as a read would give them.
   */
  keep(plan: VectorPlan, keys: readonly EntityKey[], command: string): void;
  /** For a reply that is written later: a copy of the request that is carried out now; null where its reply is not to be kept. */
  copyAsked(): Asked | null;
  /** As `keep`, of the reply to that request, which was written since the length of `out` was `from`. */
  keepLater(asked: Asked, from: number, of: VectorAsk, command: string): void;
  /** Sends what was written and lets other connections have their turn; to be awaited now and then in long work. */
  pause(): Promise<void>;
}

/** Writes one reply. */
export type WriteReply = (out: ReplyWriter) => void;

export interface Command {
  /** In lower case. */
  readonly name: string;
  /** Arguments with the name, exactly; negative: at least so many. As `COMMAND INFO` has it. */
  readonly arity: number;
  /** What stands behind the name: `service key [key ...]`. */
  readonly syntax: string;
  readonly summary: string;
  /** May be called before the password was given. */
  readonly isOpen?: true;
  /** Writes its one reply, or throws; then nothing must have been written. `args` are byte strings, the name first. */
  readonly run?: (args: readonly string[], call: Call) => void | Promise<void>;
  /**
   * In place of `run`, for work that takes a while and that several calls share: begins it, and resolves to
   * what writes the reply. Calls that follow one another are begun at once; any other command waits for them.
   */
  readonly begin?: (args: readonly string[], call: Call) => Promise<WriteReply>;
  /** In place of `run`, where states must be fetched: answers in this turn, or gives false where they are not known here. */
  readonly runHere?: (args: readonly string[], call: Call) => boolean;
  /** In place of `run`, and as `begin`, where states must be fetched before they are read. */
  readonly beginFetching?: (args: readonly string[], call: Call) => Promise<WriteReply>;
}
