/**
 * The registry and the fits of a data folder: in files of its own, or in a database that several servers share, of
 * which the folder's owner keeps a copy.
 *
 *     <data>/registry        registry.json  fits/      without a database
 *     <data>/registry-copy   registry.json  fits/      with one
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { OnefoldError } from "../base/errors.ts";
import { CopiedRegistry } from "../registry/copied-registry.ts";
import { openFileRegistry } from "../registry/file-registry.ts";
import { openFitStore } from "../registry/fit-files.ts";
import type { FitStore } from "../registry/fitted-service.ts";
import { PostgresClient } from "../registry/postgres-client.ts";
import { openPostgresFits } from "../registry/postgres-fits.ts";
import { PostgresRegistry } from "../registry/postgres-registry.ts";
import { readRegistryFile } from "../registry/registry-file.ts";
import { openRegistryOn, type SharedRegistry } from "../registry/stored-registry.ts";

export interface OpenedRegistry {
  readonly registry: SharedRegistry;
  readonly fits: FitStore;
  /** Where workers read it. */
  readonly folder: string;
  /** Whether other servers may change it. */
  readonly isShared: boolean;
}

/**
 * `url` of a PostgreSQL; undefined for the folder's own files. A `reader` does not own the folder, and writes nothing
 * in it. Throws `REGISTRY_CORRUPT`, `REGISTRY_MISMATCH`, and what a database fails with.
 */
export async function openRegistry(
  dataDir: string,
  url: string | undefined,
  options: { readonly clock: Clock; readonly reader: boolean },
): Promise<OpenedRegistry> {
  const { clock, reader } = options;
  const [own, copy] = [join(dataDir, "registry"), join(dataDir, "registry-copy")];
  if (url === undefined) {
    if (existsSync(join(copy, "registry.json"))) throw shared(dataDir);
    return {
      registry: await openFileRegistry(own, { clock }),
      fits: await openFitStore(own),
      folder: own,
      isShared: false,
    };
  }
  const client = await PostgresClient.open(url);
  try {
    const store = new PostgresRegistry(client);
    const formerly = await readRegistryFile(join(own, "registry.json"));
    const place = { where: client.where, file: join(copy, "registry.json"), formerly };
    const registry = await openRegistryOn(reader ? store : await CopiedRegistry.open(store, place), { clock });
    return { registry, fits: await openPostgresFits(client, reader ? null : copy), folder: copy, isShared: true };
  } catch (error) {
    await client.close();
    throw error;
  }
}

function shared(dataDir: string): OnefoldError {
  return new OnefoldError("REGISTRY_MISMATCH", "this data folder's registry is in a database, which was not named", {
    where: dataDir,
    hint: "name it with --registry URL or in ONEFOLD_REGISTRY (from code: the option `registry`)",
  });
}
