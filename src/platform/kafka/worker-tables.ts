/**
 * The offline tables that workers archive to, as training and the audit read them.
 *
 * A source on Kafka has one table for each way in which its views are keyed, as it has one folded topic for each. A view
 * is folded again from its own: there, and only there, the events of its entities stand in the order in which they were
 * folded, with the offsets that its states and tokens speak of. What workers have not archived yet is not in it.
 */
import type { Clock } from "../../base/clock.ts";
import { OnefoldError } from "../../base/errors.ts";
import type { SourceDefinition, StreamDefinition } from "../../define/definition.ts";
import type { ArchiveMemory } from "../../ingest/kafka/archive-loop.ts";
import { partitionOfKey } from "../../ingest/kafka/key-partition.ts";
import { internalTopic } from "../../ingest/kafka/routes.ts";
import { KAFKA_EPOCH } from "../../ingest/kafka/view-places.ts";
import { openOfflineStore } from "../../offline-store/delta-table.ts";
import type { QueryEngine } from "../../offline-store/engine.ts";
import type { EventArchive, EventFiles, KeyedFiles } from "../../offline-store/event-archive.ts";
import type { OfflineStore } from "../../offline-store/offline-store.ts";
import { type ArchivePlace, placesOf } from "../../offline-store/archive-places.ts";
import { ownFiles } from "../../offline-store/foreign-files.ts";
import { HISTORY_BASE } from "../../schema/event-offset.ts";
import type { Registry } from "../../registry/registry.ts";

export interface WorkerTablesOptions {
  /** As `onefold worker --archive` has it. */
  readonly folder: string;
  /** As `--kafka-prefix`. Default "onefold". */
  readonly prefix?: string;
}

interface WorkerTablesPorts {
  readonly registry: Registry;
  /** Reads the tables. */
  readonly engine: QueryEngine;
  readonly clock: Clock;
}

type Places = ReadonlyMap<number, ArchivePlace<ArchiveMemory>>;

export class WorkerTables {
  readonly #options: WorkerTablesOptions;
  readonly #registry: Registry;
  readonly #store: OfflineStore;

  constructor(options: WorkerTablesOptions, { registry, engine, clock }: WorkerTablesPorts) {
    this.#options = options;
    this.#registry = registry;
    this.#store = openOfflineStore(options.folder, engine, { clock });
  }

  has(source: SourceDefinition): source is StreamDefinition {
    return source.kind === "stream" && source.kafka !== undefined;
  }

  archive(source: StreamDefinition): Pick<EventArchive, "files"> {
    return { files: (epoch = KAFKA_EPOCH) => this.#files(source, epoch) };
  }

  async #files(source: StreamDefinition, epoch: number): Promise<EventFiles> {
    if (epoch !== KAFKA_EPOCH) {
      throw new OnefoldError("EPOCH_UNKNOWN", `workers fold source ${source.name} in epoch ${KAFKA_EPOCH} alone`, {
        where: `epoch ${epoch}`,
      });
    }
    const tables = new Map<string, { readonly keyed: KeyedFiles; readonly places: Places }>();
    for (const { definition } of this.#registry.views()) {
      const { key } = definition;
      if (definition.source !== source.name || definition.version === "dev" || tables.has(JSON.stringify(key)))
        continue;
      tables.set(JSON.stringify(key), await this.#table(source, key));
    }
    const all = [...tables.values()].map(({ places }) => [...places.values()]);
    const ends = all.flat().map(({ offset }) => offset);
    const knownTimes = all.map((places) =>
      Math.max(...places.map(({ memory: { knownTime } }) => knownTime ?? Number.NEGATIVE_INFINITY)),
    );
    return {
      epoch,
      history: [],
      live: [],
      liveEnd: Math.max(0, ...ends),
      historyEnd: HISTORY_BASE,
      lastKnownTime: knownTimes.length === 0 ? Number.NEGATIVE_INFINITY : Math.min(...knownTimes),
      keyedBy: (columns) => {
        const table = tables.get(JSON.stringify(columns));
        if (table === undefined) throw this.#missing(source, columns.join(", "));
        return table.keyed;
      },
    };
  }

  async #table(source: StreamDefinition, key: readonly string[]) {
    const { prefix = "onefold", folder: _folder } = this.#options;
    const { topic, direct } = source.kafka!;
    const name = `events/${direct === true ? topic : internalTopic(prefix, source.name, key)}`;
    const table = await this.#store.find(name);
    if (table === null) throw this.#missing(source, name);
    const files = await ownFiles(table);
    const places: Places = placesOf<ArchiveMemory>(files);
    const endOf: KeyedFiles["endOf"] = (entityKey) => {
      const [known] = places.values();
      if (known === undefined) return 0;
      return places.get(partitionOfKey(Buffer.from(entityKey), known.memory.partitionCount))?.offset ?? 0;
    };
    return { keyed: { files, endOf }, places };
  }

  #missing({ name }: StreamDefinition, table: string): OnefoldError {
    return new OnefoldError("FILE_UNREADABLE", `workers have archived no events of source ${name}: ${table}`, {
      where: this.#options.folder,
      hint: "name the folder of onefold worker --archive, and its --kafka-prefix",
    });
  }
}
