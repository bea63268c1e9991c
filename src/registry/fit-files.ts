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
import type { FittedService, FitStore, NewFit } from "./fitted-service.ts";

const FORMAT = 1;
const FILE_NAME = /^([1-9]\d{0,8})\.json$/;

type StoredContent = Omit<FittedService, "definition" | "sha256"> & { readonly definition: Data };

/** Opens `fits` in the registry's folder, which need not exist. A damaged fit is refused when it is asked for. */
export async function openFitStore(registryFolder: string): Promise<FitStore> {
  const folder = join(registryFolder, "fits");
  const found = new Map<string, Map<number, FittedService | OnefoldError>>();
  for (const service of await namesIn(folder)) {
    const versions = (await namesIn(join(folder, service))).flatMap((name) => FILE_NAME.exec(name)?.[1] ?? []);
    const fits = new Map<number, FittedService | OnefoldError>();
    for (const version of versions.map(Number).sort((a, b) => a - b)) {
      fits.set(version, await readFit(fitPath(folder, service, version), service, version));
    }
    if (fits.size > 0) found.set(service, fits);
  }
  return new FitFiles(folder, found);
}

class FitFiles implements FitStore {
  readonly #folder: string;
  /** By service and version. */
  readonly #fits: Map<string, Map<number, FittedService | OnefoldError>>;

  constructor(folder: string, fits: Map<string, Map<number, FittedService | OnefoldError>>) {
    this.#folder = folder;
    this.#fits = fits;
  }

  async put(fit: NewFit): Promise<FittedService> {
    const { name } = fit.definition;
    const fits = this.#fits.get(name) ?? new Map<number, FittedService | OnefoldError>();
    this.#fits.set(name, fits);
    for (let version = Math.max(0, ...fits.keys()) + 1; ; version++) {
      const { text, sha256 } = encode({ ...fit, definition: toData(fit.definition), version });
      // Another writer may have been first: the next version, then.
      if (!(await createFile(fitPath(this.#folder, name, version), text))) continue;
      const stored: FittedService = { ...fit, version, sha256 };
      fits.set(version, stored);
      return stored;
    }
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
