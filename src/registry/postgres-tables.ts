/**
 * The registry's tables in PostgreSQL, in a schema of their own, so that they may share a database.
 *
 *     onefold.registry   one row: the version of these tables, the revision, and the content as the file has it
 *     onefold.fits       a row for each fit of each service
 *
 * They are made by the first change, so that a role that only reads needs no right to make any.
 */
import { randomUUID } from "node:crypto";
import { OnefoldError } from "../base/errors.ts";
import { isAbsent, type PostgresClient, type Query } from "./postgres-client.ts";
import { EMPTY_REGISTRY, encodeRegistry } from "./registry-content.ts";

/** Of the tables. */
const VERSION = 1;
/** Any number, the same in all processes: who makes the tables holds this lock. */
const MAKING_LOCK = 0x6f6e6566;

/** Where commits are told of. */
export const CHANNEL = "onefold_registry";

/** Makes the tables where there are none. Throws as `refuseNewer`. */
export async function ensureTables(query: Query): Promise<void> {
  if (await areThere(query)) return;
  await query("SELECT pg_advisory_xact_lock($1)", [MAKING_LOCK]);
  if (await areThere(query)) return;
  await query("CREATE SCHEMA IF NOT EXISTS onefold");
  await query(
    `CREATE TABLE onefold.registry (
      single boolean PRIMARY KEY DEFAULT true CHECK (single),
      version integer NOT NULL,
      revision bigint NOT NULL,
      change uuid NOT NULL,
      content text NOT NULL
    )`,
  );
  await query(
    `CREATE TABLE onefold.fits (
      service text NOT NULL,
      version integer NOT NULL,
      content text NOT NULL,
      PRIMARY KEY (service, version)
    )`,
  );
  await query("INSERT INTO onefold.registry (version, revision, change, content) VALUES ($1, 0, $2, $3)", [
    VERSION,
    randomUUID(),
    encodeRegistry(EMPTY_REGISTRY),
  ]);
}

async function areThere(query: Query): Promise<boolean> {
  // Of the table of tables itself: a name is looked up in a cache, which may not have heard of another's commit.
  const rows = await query("SELECT 1 FROM pg_tables WHERE schemaname = 'onefold' AND tablename = 'registry'");
  return rows.length > 0;
}

/** The result of `query`; `without` where there are no tables. */
export async function unlessAbsent<T>(query: Promise<T>, without: T): Promise<T> {
  try {
    return await query;
  } catch (error) {
    if (isAbsent(error)) return without;
    throw error;
  }
}

/** Throws `REGISTRY_TOO_NEW`. */
export function refuseNewer(version: unknown, { where }: Pick<PostgresClient, "where">): void {
  if (version === VERSION) return;
  throw new OnefoldError(
    "REGISTRY_TOO_NEW",
    `the registry's tables are of version ${String(version)}, this version of Onefold reads ${VERSION}`,
    { where, hint: "update Onefold here to the version that the other servers have" },
  );
}
