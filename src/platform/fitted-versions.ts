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
  const problems = given.map((service) => problemOf(house, service)).filter((problem) => problem !== null);
  if (problems.length === 0 || before.some((service) => problemOf(house, service) !== null)) return;
  throw problems[0];
}

function problemOf({ registry, fits }: FittedHouse, service: string): unknown {
  try {
    registry.service(service);
  } catch {
    return null;
  }
  try {
    serviceToCompute(registry, fits, service);
    return null;
  } catch (error) {
    return error;
  }
}
