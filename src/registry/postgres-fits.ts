/**
 * Fits in PostgreSQL, a row each, created only if absent: two servers never share a version.
 *
 * A server keeps a copy of each as a file, as it would without PostgreSQL, for its workers, and for when it starts
 * while PostgreSQL is away.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { isOnefoldError, type OnefoldError } from "../base/errors.ts";
import { serviceId } from "../define/service-version.ts";
import { createFile } from "./atomic-file.ts";
import { decodeFit, encodeFit } from "./fit-content.ts";
import { fitPath, readFits } from "./fit-files.ts";
import type { FitsTakenUp, FittedService, FitStore, NewFit } from "./fitted-service.ts";
import { KnownFits } from "./known-fits.ts";
import type { PostgresClient } from "./postgres-client.ts";
import { ensureTables, unlessAbsent } from "./postgres-tables.ts";

/** `copyFolder`: where the copies go, null for none. Throws what the database fails with, but for its absence where there are copies. */
export async function openPostgresFits(client: PostgresClient, copyFolder: string | null): Promise<FitStore> {
  const fits = new PostgresFits(client, copyFolder === null ? null : join(copyFolder, "fits"));
  await fits.open();
  return fits;
}

interface Damaged {
  readonly service: string;
  readonly version: number;
  readonly error: OnefoldError;
}

class PostgresFits implements FitStore {
  readonly #client: PostgresClient;
  readonly #copies: string | null;
  readonly #known = new KnownFits();

  constructor(client: PostgresClient, copies: string | null) {
    this.#client = client;
    this.#copies = copies;
  }

  async open(): Promise<void> {
    for await (const { service, version, fit } of this.#copied()) {
      if (isOnefoldError(fit)) await rm(fitPath(this.#copies!, service, version));
      else this.#known.set(service, version, fit);
    }
    try {
      const { damaged } = await this.#takeUp();
      // It is refused when it is asked for: taking an older one in its place would be a guess.
      for (const { service, version, error } of damaged) this.#known.set(service, version, error);
    } catch (error) {
      const isAway = isOnefoldError(error) && error.code === "REGISTRY_UNREACHABLE";
      if (!isAway || this.#copies === null) throw error;
    }
  }

  #copied(): ReturnType<typeof readFits> | readonly [] {
    return this.#copies === null ? [] : readFits(this.#copies, () => false);
  }

  async put(fit: NewFit): Promise<FittedService> {
    const name = serviceId(fit.definition);
    const { text, stored } = await this.#client.transaction(async (query) => {
      await ensureTables(query);
      for (;;) {
        const [row] = await query(
          "SELECT coalesce(max(version), 0) + 1 AS version FROM onefold.fits WHERE service = $1",
          [name],
        );
        const encoded = encodeFit(fit, Number(row!["version"]));
        const created = await query(
          `INSERT INTO onefold.fits (service, version, content) VALUES ($1, $2, $3)
           ON CONFLICT DO NOTHING RETURNING version`,
          [name, encoded.stored.version, encoded.text],
        );
        // Another server may have been first: the next version, then.
        if (created.length > 0) return encoded;
      }
    });
    await this.#keep(name, stored, text);
    return stored;
  }

  async takeUp(): Promise<FitsTakenUp> {
    const { added, damaged } = await this.#takeUp();
    return { added, unread: damaged.map(({ error }) => error) };
  }

  async #takeUp(): Promise<{ readonly added: number; readonly damaged: readonly Damaged[] }> {
    const listed = await unlessAbsent(
      this.#client.query("SELECT service, version FROM onefold.fits ORDER BY service, version"),
      [],
    );
    const damaged: Damaged[] = [];
    let added = 0;
    for (const row of listed) {
      const [service, version] = [String(row["service"]), Number(row["version"])];
      if (this.#known.isWhole(service, version)) continue;
      const [stored] = await this.#client.query(
        "SELECT content FROM onefold.fits WHERE service = $1 AND version = $2",
        [service, version],
      );
      const text = String(stored?.["content"]);
      const fit = decodeFit(text, `fit ${version} of ${service} in ${this.#client.where}`, service, version);
      if (isOnefoldError(fit)) {
        damaged.push({ service, version, error: fit });
      } else if (!this.#known.isWhole(service, version)) {
        await this.#keep(service, fit, text);
        added++;
      }
    }
    return { added, damaged };
  }

  fitsOf(service: string): readonly FittedService[] {
    return this.#known.fitsOf(service);
  }

  fitFor(service: string, fingerprint: string, version?: number): FittedService {
    return this.#known.fitFor(service, fingerprint, version);
  }

  /** The copy first: a worker that is told of the fit finds it. */
  async #keep(service: string, fit: FittedService, text: string): Promise<void> {
    if (this.#copies !== null) await createFile(fitPath(this.#copies, service, fit.version), text);
    this.#known.set(service, fit.version, fit);
  }
}
