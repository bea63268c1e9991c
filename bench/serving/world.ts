/**
 * A data folder to serve from: definitions applied and history imported, by the platform's own way, and looked
 * at before it is served: how many buckets an entity has, and what they take.
 */
import { mkdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type {
  Definition,
  EntityDefinition,
  ServiceDefinition,
  SourceDefinition,
  ViewDefinition,
} from "../../src/define/definition.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { sqlText } from "../../src/offline-store/engine.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";

export interface WorldRequest {
  readonly name: string;
  readonly folder: string;
  readonly definitions: readonly Definition[];
  /** Rows of the one source's history. */
  readonly historySql: string;
}

export interface World {
  readonly name: string;
  readonly dataDir: string;
  /** Parquet. */
  readonly historyFile: string;
  readonly rows: number;
  readonly entity: EntityDefinition;
  readonly source: SourceDefinition;
  readonly views: readonly ViewDefinition[];
  readonly services: readonly ServiceDefinition[];
  readonly stored: readonly StoredView[];
  /** Of the online store's file on disk. */
  readonly onlineBytes: number;
}

/** A view's states in the online store. */
export interface StoredView {
  readonly view: string;
  readonly states: number;
  readonly stateBytes: number;
  /** Buckets a state, single events among them, in ascending order. */
  readonly buckets: Float64Array;
}

export async function prepareWorld({ name, folder, definitions, historySql }: WorldRequest): Promise<World> {
  const startMs = performance.now();
  const dataDir = join(folder, name);
  await mkdir(dataDir, { recursive: true });
  const historyFile = join(folder, `${name}.parquet`);
  const engine = await openDuckDb({ spillFolder: join(folder, "spill") });
  await engine.run(`COPY (${historySql}) TO ${sqlText(historyFile)} (FORMAT parquet)`);
  await engine.close();
  const platform = await openPlatform({ dataDir });
  try {
    await platform.apply(definitions);
    const source = only(definitions, "stream");
    const { accepted, rejected } = await platform.importHistory(source.name, [historyFile]);
    if (rejected > 0) throw new Error(`${rejected} rows of history were rejected`);
    await platform.settle();
    const views = definitions.filter((one): one is ViewDefinition => one.kind === "view");
    const entity = only(definitions, "entity");
    const stored = views.map((view) => storedView(platform, view, source, entity));
    const { blocks } = await stat(join(dataDir, "online", "data.mdb"));
    const services = definitions.filter((one): one is ServiceDefinition => one.kind === "service");
    const world = { name, dataDir, historyFile, rows: accepted, entity, source, views, services, stored };
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    console.error(`${name}: ${accepted} events of history imported into ${views.length} views in ${seconds} s`);
    return { ...world, onlineBytes: blocks * 512 };
  } finally {
    await platform.close();
  }
}

export async function removeWorld({ dataDir, historyFile }: World): Promise<void> {
  await rm(dataDir, { recursive: true });
  await rm(historyFile);
}

function only<K extends Definition["kind"]>(
  definitions: readonly Definition[],
  kind: K,
): Extract<Definition, { readonly kind: K }> {
  const found = definitions.filter((one): one is Extract<Definition, { readonly kind: K }> => one.kind === kind);
  if (found.length !== 1) throw new Error(`${found.length} definitions of a ${kind}; a world has one`);
  return found[0]!;
}

function storedView(
  platform: Platform,
  view: ViewDefinition,
  source: SourceDefinition,
  entity: EntityDefinition,
): StoredView {
  const fold = compileViewFold(view, source, entity);
  const buckets: number[] = [];
  let stateBytes = 0;
  for (const { bytes } of platform.exportStates(view.name, view.version)) {
    const { list } = fold.decode(bytes);
    buckets.push(list.bucketCount + list.rawCount);
    stateBytes += bytes.length;
  }
  return { view: view.name, states: buckets.length, stateBytes, buckets: Float64Array.from(buckets).sort() };
}

/** The value below which that share of an ascending list lies. */
export function quantileOf(ascending: Float64Array, share: number): number {
  if (ascending.length === 0) throw new Error("nothing was measured");
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))]!;
}
