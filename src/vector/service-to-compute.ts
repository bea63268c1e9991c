/**
 * Which definition of a service is computed, and with what it was fitted to: the present definition with its
 * newest fit, or a fit that is asked for by its version, with the definition that it is of.
 */
import type { ServiceDefinition } from "../define/definition.ts";
import { serviceId } from "../define/service-version.ts";
import { OnefoldError } from "../base/errors.ts";
import type { FittedService, FitStore } from "../registry/fitted-service.ts";
import type { Registry } from "../registry/registry.ts";
import { needsFit } from "./transformations/steps.ts";

export interface ServiceToCompute {
  readonly definition: ServiceDefinition;
  /** Of the definition. */
  readonly fingerprint: string;
  /** Null where nothing in it is fitted. */
  readonly fit: FittedService | null;
}

/** Throws `SERVICE_UNKNOWN`, `SERVICE_NOT_FITTED`, `FIT_UNKNOWN`, `FIT_CORRUPT`. */
export function serviceToCompute(
  registry: Pick<Registry, "service" | "serviceOfFingerprint">,
  fits: FitStore,
  service: string,
  fitVersion?: number,
): ServiceToCompute {
  return definitionToCompute(registry, fits, registry.service(service), fitVersion);
}

/** The same of a version that was looked up already. */
export function definitionToCompute(
  registry: Pick<Registry, "serviceOfFingerprint">,
  fits: FitStore,
  { definition, fingerprint }: Pick<ServiceToCompute, "definition" | "fingerprint">,
  fitVersion?: number,
): ServiceToCompute {
  if (fitVersion === undefined && !needsFit(definition)) return { definition, fingerprint, fit: null };
  const fit = fits.fitFor(serviceId(definition), fingerprint, fitVersion);
  if (fit.fingerprint === fingerprint) return { definition, fingerprint, fit };
  return { ...serviceOfFit(registry, fit), fit };
}

/** The definition that was fitted, with its code where that is loaded. */
export function serviceOfFit(
  registry: Pick<Registry, "serviceOfFingerprint">,
  fit: FittedService,
): Pick<ServiceToCompute, "definition" | "fingerprint"> {
  const definition = registry.serviceOfFingerprint(fit.fingerprint) ?? fit.definition;
  return { definition, fingerprint: fit.fingerprint };
}

/** The service without its transformations: what these are fitted to. Throws `FIT_IMPOSSIBLE` where none is fitted. */
export function withoutTransformations(service: ServiceDefinition): ServiceDefinition {
  const { transform: _transform, omit: _omit, ...features } = service;
  if (needsFit(service)) return features;
  throw new OnefoldError("FIT_IMPOSSIBLE", `service "${service.name}" has no transformation that is fitted`, {
    hint: "it can be served and trained with as it is",
  });
}
