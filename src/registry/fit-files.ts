/**
 * Fits on disk: `fits/<service>/<version>.json`, each written once, whole or not at all, and guarded by a
 * checksum. A file is created only if absent, so two writers never share a version.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import { serviceId } from "../define/service-version.ts";
import { createFile } from "./atomic-file.ts";
import { corruptFit, decodeFit, encodeFit } from "./fit-content.ts";
import type { FitsTakenUp, FittedService, FitStore, NewFit } from "./fitted-service.ts";
import { KnownFits } from "./known-fits.ts";

const FILE_NAME = /^([1-9]\d{0,8})\.json$/;

/** Opens `fits` in the registry's folder, which need not exist. A damaged fit is refused when it is asked for. */
export async function openFitStore(registryFolder: string): Promise<FitStore> {
  const folder = join(registryFolder, "fits");
  const known = new KnownFits();
  for await (const { service, version, fit } of readFits(folder, () => false)) known.set(service, version, fit);
  return new FitFiles(folder, known);
}

class FitFiles implements FitStore {
  readonly #folder: string;
  readonly #known: KnownFits;

  constructor(folder: string, known: KnownFits) {
    this.#folder = folder;
    this.#known = known;
  }

  async put(fit: NewFit): Promise<FittedService> {
    const name = serviceId(fit.definition);
    for (let version = this.#known.newestVersion(name) + 1; ; version++) {
      const { text, stored } = encodeFit(fit, version);
      // Another writer may have been first: the next version, then.
      if (!(await createFile(fitPath(this.#folder, name, version), text))) continue;
      this.#known.set(name, version, stored);
      return stored;
    }
  }

  async takeUp(): Promise<FitsTakenUp> {
    const isWhole = (service: string, version: number): boolean => this.#known.isWhole(service, version);
    const unread: OnefoldError[] = [];
    let added = 0;
    for await (const { service, version, fit } of readFits(this.#folder, isWhole)) {
      if (isOnefoldError(fit)) unread.push(fit);
      // One that this process stored meanwhile stays as it is.
      else if (!isWhole(service, version)) {
        this.#known.set(service, version, fit);
        added++;
      }
    }
    return { added, unread };
  }

  fitsOf(service: string): readonly FittedService[] {
    return this.#known.fitsOf(service);
  }

  fitFor(service: string, fingerprint: string, version?: number): FittedService {
    return this.#known.fitFor(service, fingerprint, version);
  }
}

export function fitPath(folder: string, service: string, version: number): string {
  return join(folder, service, `${version}.json`);
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw new OnefoldError("STORAGE_FAILED", `cannot read ${folder}: ${(error as Error).message}`, {
      where: folder,
      cause: error,
    });
  }
}

/** The fits on disk but for those that are known, oldest first for each service. */
export async function* readFits(
  folder: string,
  isKnown: (service: string, version: number) => boolean,
): AsyncIterableIterator<{ service: string; version: number; fit: FittedService | OnefoldError }> {
  for (const service of await namesIn(folder)) {
    const versions = (await namesIn(join(folder, service))).flatMap((name) => FILE_NAME.exec(name)?.[1] ?? []);
    for (const version of versions.map(Number).sort((a, b) => a - b)) {
      if (isKnown(service, version)) continue;
      yield { service, version, fit: await readFit(fitPath(folder, service, version), service, version) };
    }
  }
}

async function readFit(file: string, service: string, version: number): Promise<FittedService | OnefoldError> {
  try {
    return decodeFit(await readFile(file, "utf8"), file, service, version);
  } catch (error) {
    return corruptFit(file, (error as Error).message, error);
  }
}
