/**
 * A name is not given to a version of a service that every request would fail with: one whose transformations have not been
 * fitted. Where what it means now would fail, too, nothing is lost, and it is.
 */
import type { FitStore } from "../registry/fitted-service.ts";
import type { Registry } from "../registry/registry.ts";
import { serviceToCompute } from "../vector/service-to-compute.ts";

export interface FittedHouse {
  readonly registry: Registry;
  readonly fits: FitStore;
}

/**
 * `given`: versions of services that will be asked for; `before`: what is asked for until then. Throws `SERVICE_NOT_FITTED`,
 * `FIT_CORRUPT`. What is no service is not judged.
 */
export function refuseUnfitted(house: FittedHouse, given: readonly string[], before: readonly string[]): void {
  const [problem] = given.flatMap((service) => (isThere(house, service) ? problemsOf(house, service) : []));
  if (problem === undefined) return;
  if (before.every((service) => isThere(house, service) && problemsOf(house, service).length === 0)) throw problem;
}

function isThere({ registry }: FittedHouse, service: string): boolean {
  try {
    registry.service(service);
    return true;
  } catch {
    return false;
  }
}

function problemsOf({ registry, fits }: FittedHouse, service: string): unknown[] {
  try {
    serviceToCompute(registry, fits, service);
    return [];
  } catch (error) {
    return [error];
  }
}
