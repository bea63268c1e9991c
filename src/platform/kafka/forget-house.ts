/** What an entity is forgotten with: the workers' Kafka, store and tables, and how long to wait for them. */
import type { KafkaConnection } from "../../ingest/kafka/connection.ts";
import type { QueryEngine } from "../../offline-store/engine.ts";
import type { OfflineStore } from "../../offline-store/offline-store.ts";
import type { OnlineStore } from "../../online-store/online-store.ts";
import type { Registry } from "../../registry/registry.ts";
import type { OnProgress } from "../runtime-context.ts";

export interface ForgetConnection extends Pick<
  KafkaConnection,
  "alterTopic" | "committedBy" | "fetch" | "offsets" | "ownTopicSettings" | "send" | "topicNames" | "topics"
> {
  readonly settings: Pick<KafkaConnection["settings"], "prefix">;
}

export interface ForgetHouse {
  readonly registry: Registry;
  readonly connection: ForgetConnection;
  readonly store: OnlineStore;
  readonly engine: QueryEngine;
  readonly tables: OfflineStore;
  readonly stalledMs: number;
  readonly copiesMs: number;
  /** Between two looks at what is waited for. */
  readonly lookMs: number;
  /** So long workers go on from a position, or with records, that they have looked at (`stored-positions.ts`, `route-loop.ts`). */
  readonly trustMs: number;
  /** Throws where the command must not go on: asked before each step that changes something. */
  readonly check: () => void;
  readonly onProgress: OnProgress;
}
