/**
 * The fits that a process knows, by service and version, and which of them is asked for. One that is damaged is
 * refused when it is.
 */
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import type { FittedService } from "./fitted-service.ts";

export class KnownFits {
  readonly #fits = new Map<string, Map<number, FittedService | OnefoldError>>();

  set(service: string, version: number, fit: FittedService | OnefoldError): void {
    const ofService = this.#fits.get(service) ?? new Map<number, FittedService | OnefoldError>();
    this.#fits.set(service, ofService.set(version, fit));
  }

  isWhole(service: string, version: number): boolean {
    const known = this.#fits.get(service)?.get(version);
    return known !== undefined && !isOnefoldError(known);
  }

  /** 0 where there is none. */
  newestVersion(service: string): number {
    return Math.max(0, ...(this.#fits.get(service)?.keys() ?? []));
  }

  /** As `FitStore`. */
  fitsOf(service: string): readonly FittedService[] {
    return this.#versionsOf(service).map(([, fit]) => whole(fit));
  }

  /** As `FitStore`. */
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

function whole(fit: FittedService | OnefoldError): FittedService {
  if (isOnefoldError(fit)) throw fit;
  return fit;
}
