/**
 * A registry's content in PostgreSQL, for several servers.
 *
 * It is one row, read and replaced whole: nobody can see half of an apply. A change locks the row before it reads it,
 * so the next one is made of what this one left, and none is lost. It grows the revision and tells all who listen,
 * both in the same transaction.
 */
import { randomUUID } from "node:crypto";
import type { PostgresClient, Query } from "./postgres-client.ts";
import { CHANNEL, ensureTables, refuseNewer, unlessAbsent } from "./postgres-tables.ts";
import { decodeRegistry, EMPTY_REGISTRY, encodeRegistry, type RegistryContent } from "./registry-content.ts";
import type { RegistryNews, RegistryStore, StoredRegistryContent } from "./registry-store.ts";

const NO_TABLES = "0";

export class PostgresRegistry implements RegistryStore {
  readonly #client: PostgresClient;

  /** Closes the client when it is closed. */
  constructor(client: PostgresClient) {
    this.#client = client;
  }

  async read(): Promise<StoredRegistryContent> {
    return unlessAbsent(this.#read(this.#client.query), { content: EMPTY_REGISTRY, revision: NO_TABLES });
  }

  async change(next: (content: RegistryContent) => RegistryContent | null): Promise<StoredRegistryContent> {
    return this.#client.transaction(async (query) => {
      await ensureTables(query);
      const before = await this.#read(query, "FOR UPDATE");
      const content = next(before.content);
      if (content === null) return before;
      const [row] = await query(
        "UPDATE onefold.registry SET revision = revision + 1, change = $1, content = $2 RETURNING revision, change",
        [randomUUID(), encodeRegistry(content)],
      );
      const revision = revisionOf(row!);
      await query("SELECT pg_notify($1, $2)", [CHANNEL, revision]);
      return { content, revision };
    });
  }

  async revision(): Promise<string> {
    const rows = await unlessAbsent(this.#client.query("SELECT version, revision, change FROM onefold.registry"), []);
    const [row] = rows;
    if (row === undefined) return NO_TABLES;
    refuseNewer(row["version"], this.#client);
    return revisionOf(row);
  }

  watch(onNews: () => void): RegistryNews {
    return this.#client.listen(CHANNEL, onNews);
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  async #read(query: Query, lock = ""): Promise<StoredRegistryContent> {
    const [row] = await query(`SELECT version, revision, change, content FROM onefold.registry ${lock}`);
    if (row === undefined) return { content: EMPTY_REGISTRY, revision: NO_TABLES };
    refuseNewer(row["version"], this.#client);
    const content = decodeRegistry(String(row["content"]), this.#client.where);
    return { content, revision: revisionOf(row) };
  }
}

/** Its number, and a random id: a backup that is restored counts on from an earlier number. */
function revisionOf(row: Readonly<Record<string, unknown>>): string {
  return `${String(row["revision"])} ${String(row["change"])}`;
}
