/**
 * The places a registry and its fits can be kept in: suites that must hold on each run on each.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe } from "vitest";
import type { Clock } from "../../src/base/clock.ts";
import { openFileRegistry } from "../../src/registry/file-registry.ts";
import { openFitStore } from "../../src/registry/fit-files.ts";
import type { FitStore } from "../../src/registry/fitted-service.ts";
import { PostgresClient } from "../../src/registry/postgres-client.ts";
import { openPostgresFits } from "../../src/registry/postgres-fits.ts";
import { PostgresRegistry } from "../../src/registry/postgres-registry.ts";
import { openRegistryOn, type SharedRegistry } from "../../src/registry/stored-registry.ts";
import { describeWhere, shared } from "../services/describe-where.ts";
import { newDatabase } from "../services/postgres.ts";

/** Empty before each test. */
export interface Backend {
  /** As another process would open it; closed after the test. */
  open(clock: Clock): Promise<SharedRegistry>;
  openFits(): Promise<FitStore>;
  /** The registry as it is stored, "" where nothing was. */
  text(): Promise<string>;
}

type Body = (backend: Backend) => void;

const describePostgres = await describeWhere("postgres");

export function describeOnEach(title: string, body: Body): void {
  describe(`${title}, in files`, () => {
    body(inFiles());
  });
  describePostgres(`${title}, in PostgreSQL`, () => {
    body(inPostgres());
  });
}

function inFiles(): Backend {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "registry-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  return {
    open: (clock) => openFileRegistry(folder, { clock }),
    openFits: () => openFitStore(folder),
    text: () => readFile(join(folder, "registry.json"), "utf8").catch(() => ""),
  };
}

function inPostgres(): Backend {
  let url: string;
  let client: PostgresClient;
  const clients: PostgresClient[] = [];
  const newClient = async (): Promise<PostgresClient> => {
    const opened = await PostgresClient.open(url);
    clients.push(opened);
    return opened;
  };
  beforeAll(async () => {
    url = await newDatabase(await shared("postgres"));
    client = await PostgresClient.open(url);
  });
  beforeEach(async () => {
    await client.query("DROP SCHEMA IF EXISTS onefold CASCADE");
  });
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((one) => one.close()));
  });
  afterAll(() => client.close());
  return {
    open: async (clock) => openRegistryOn(new PostgresRegistry(await newClient()), { clock }),
    openFits: async () => openPostgresFits(await newClient(), null),
    text: async () => {
      const rows = await client.query("SELECT content FROM onefold.registry").catch(() => []);
      return String(rows[0]?.["content"] ?? "");
    },
  };
}
