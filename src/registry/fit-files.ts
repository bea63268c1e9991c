/**
 * Fits on disk: `fits/<service>/<version>.json`, each written once, whole or not at all, and guarded by a
 * checksum. A file is created only if absent, so two writers never share a version.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import type { ServiceDefinition } from "../define/definition.ts";
import { createFile } from "./atomic-file.ts";
import { type Data, fromData, hashText, toData } from "./definition-data.ts";
import type { FitsTakenUp, FittedService, FitStore, NewFit } from "./fitted-service.ts";

const FORMAT = 1;
const FILE_NAME = /^([1-9]\d{0,8})\.json$/;

type StoredContent = Omit<FittedService, "definition" | "sha256"> & { readonly definition: Data };

/** By service and version. */
type Fits = Map<string, Map<number, FittedService | OnefoldError>>;

/** Opens `fits` in the registry's folder, which need not exist. A damaged fit is refused when it is asked for. */
export async function openFitStore(registryFolder: string): Promise<FitStore> {
  const folder = join(registryFolder, "fits");
  const fits: Fits = new Map();
  for await (const { service, version, fit } of readFits(folder, () => false)) put(fits, service, version, fit);
  return new FitFiles(folder, fits);
}

function put(fits: Fits, service: string, version: number, fit: FittedService | OnefoldError): void {
  const ofService = fits.get(service) ?? new Map<number, FittedService | OnefoldError>();
  fits.set(service, ofService.set(version, fit));
}

class FitFiles implements FitStore {
  readonly #folder: string;
  readonly #fits: Fits;

  constructor(folder: string, fits: Fits) {
    this.#folder = folder;
    this.#fits = fits;
  }

  async put(fit: NewFit): Promise<FittedService> {
    const { name } = fit.definition;
    const known = this.#fits.get(name)?.keys() ?? [];
    for (let version = Math.max(0, ...known) + 1; ; version++) {
      const { text, sha256 } = encode({ ...fit, definition: toData(fit.definition), version });
      // Another writer may have been first: the next version, then.
      if (!(await createFile(fitPath(this.#folder, name, version), text))) continue;
      const stored: FittedService = { ...fit, version, sha256 };
      put(this.#fits, name, version, stored);
      return stored;
    }
  }

  async takeUp(): Promise<FitsTakenUp> {
    const isWhole = (service: string, version: number): boolean => {
      const known = this.#fits.get(service)?.get(version);
      return known !== undefined && !isOnefoldError(known);
    };
    const unread: OnefoldError[] = [];
    let added = 0;
    for await (const { service, version, fit } of readFits(this.#folder, isWhole)) {
      if (isOnefoldError(fit)) unread.push(fit);
      // One that this process stored meanwhile stays as it is.
      else if (!isWhole(service, version)) {
        put(this.#fits, service, version, fit);
        added++;
      }
    }
    return { added, unread };
  }

  fitsOf(service: string): readonly FittedService[] {
    return this.#versionsOf(service).map(([, fit]) => whole(fit));
  }

  fitFor(service: string, fingerprint: string, version?: number): FittedService {
    const versions = this.#versionsOf(service);
    if (version === undefined) {
      // A damaged one may be of any definition: taking an older one in its place would be a guess.
      const newest = versions.findLast(([, fit]) => isOnefoldError(fit) || fit.fingerprint === fingerprint);
      if (newest !== undefined) return whole(newest[1]);
      const before = versions.length === 0 ? "has not been fitted" : "has not been fitted since it was redefined";
      throw new OnefoldError("SERVICE_NOT_FITTED", `service "${service}" ${before}`, {
        hint: `onefold fit --service ${service} --labels FILE --train-share 0.8 (or --train-until TIME, --split-column C=train)`,
      });
    }
    const asked = versions.find(([one]) => one === version);
    if (asked !== undefined) return whole(asked[1]);
    throw new OnefoldError("FIT_UNKNOWN", `service "${service}" has no fit ${version}`, {
      candidates: versions.map(([one]) => String(one)).reverse(),
    });
  }

  #versionsOf(service: string): [version: number, fit: FittedService | OnefoldError][] {
    return [...(this.#fits.get(service) ?? [])].sort(([a], [b]) => a - b);
  }
}

function fitPath(folder: string, service: string, version: number): string {
  return join(folder, service, `${version}.json`);
}

function whole(fit: FittedService | OnefoldError): FittedService {
  if (isOnefoldError(fit)) throw fit;
  return fit;
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

function encode(content: StoredContent): { readonly text: string; readonly sha256: string } {
  const sha256 = hashText(JSON.stringify(content));
  return { text: `${JSON.stringify({ format: FORMAT, sha256, content }, null, 1)}\n`, sha256 };
}

/** The fits on disk but for those that are known, oldest first for each service. */
async function* readFits(
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

/** The fit, or why it cannot be read. */
async function readFit(file: string, service: string, version: number): Promise<FittedService | OnefoldError> {
  try {
    const stored = JSON.parse(await readFile(file, "utf8")) as {
      readonly format?: unknown;
      readonly sha256?: unknown;
      readonly content?: StoredContent;
    };
    const { format, sha256, content } = stored;
    if (format !== FORMAT) return corrupt(file, `its format is ${String(format)}, this version reads ${FORMAT}`);
    if (content === undefined || typeof sha256 !== "string" || hashText(JSON.stringify(content)) !== sha256) {
      return corrupt(file, "its checksum does not match its content");
    }
    const definition = fromData(content.definition) as ServiceDefinition;
    if (definition.name !== service || content.version !== version) {
      return corrupt(file, `it is fit ${content.version} of service "${definition.name}"`);
    }
    return { ...content, definition, sha256 };
  } catch (error) {
    return corrupt(file, (error as Error).message, error);
  }
}

function corrupt(file: string, why: string, cause?: unknown): OnefoldError {
  return new OnefoldError("FIT_CORRUPT", `a fit cannot be read: ${why}`, {
    where: file,
    hint: "restore the file from a backup, or fit again",
    cause,
  });
}
