/**
 * Runs a service's program again over what a line of the serving log says it had read.
 */
import { isOnefoldError } from "../base/errors.ts";
import type { ServiceDefinition } from "../define/definition.ts";
import type { StatusCode } from "../fold/view-fold.ts";
import type { FittedService } from "../registry/fitted-service.ts";
import { type RegistryOfAnyTime, registryOfAnyTime } from "../registry/registry-of-any-time.ts";
import type { ComputedVector, ServedVector } from "../schema/served-vector.ts";
import { compileServiceProgram, qualifiedName, type ServiceProgram } from "../vector/service-program.ts";
import { serviceOfFit } from "../vector/service-to-compute.ts";
import type { TrainingPorts } from "./ports.ts";

export class ComputedAudit {
  readonly #registry: RegistryOfAnyTime;
  readonly #fits: TrainingPorts["fits"];
  /** By the service's fingerprint and fit; a sentence where there is none. */
  readonly #programs = new Map<string, ServiceProgram | string>();

  constructor({ registry, fits }: Pick<TrainingPorts, "registry" | "fits">) {
    this.#registry = registryOfAnyTime(registry);
    this.#fits = fits;
  }

  /** The program with its slots computed, or why that cannot be done. */
  recompute(vector: ServedVector, computed: ComputedVector): ServiceProgram | string {
    const program = this.#programOf(vector.service, computed);
    if (typeof program === "string") return program;
    const read = new Map(vector.features.map((name, position) => [name, position]));
    for (const [i, input] of program.inputs.entries()) {
      const position = read.get(qualifiedName(input));
      if (position === undefined) return `a served vector of ${vector.service} lacks its input ${qualifiedName(input)}`;
      program.slots.values[i] = vector.values[position]!;
      program.slots.statuses[i] = vector.statuses[position]! as StatusCode;
    }
    const { outputs, request } = program;
    if (computed.values.length !== outputs.length || computed.request.length !== request.length) {
      return `a served vector of ${vector.service} has another length than its service`;
    }
    try {
      program.run(computed.request, vector.token.asOf);
    } catch (error) {
      if (!isOnefoldError(error)) throw error;
      return `${vector.service}: ${error.message}`;
    }
    return program;
  }

  #programOf(service: string, computed: ComputedVector): ServiceProgram | string {
    const id = `${computed.fingerprint} ${computed.fit ?? ""}`;
    let program = this.#programs.get(id);
    if (program === undefined) this.#programs.set(id, (program = this.#compile(service, computed)));
    return program;
  }

  #compile(service: string, { fingerprint, fit: version }: ComputedVector): ServiceProgram | string {
    try {
      const fit = version === undefined ? null : this.#fits.fitFor(service, fingerprint, version);
      if (fit !== null && fit.fingerprint !== fingerprint)
        return `fit ${fit.version} of ${service} is of another definition`;
      const definition = this.#definitionOf(fingerprint, fit);
      if (definition === null) return `service ${service} is not registered as it was when it served`;
      return compileServiceProgram(definition, this.#registry, fit?.parameters);
    } catch (error) {
      if (!isOnefoldError(error)) throw error;
      return `service ${service} cannot be computed: ${error.message}`;
    }
  }

  #definitionOf(fingerprint: string, fit: FittedService | null): ServiceDefinition | null {
    return fit === null
      ? this.#registry.serviceOfFingerprint(fingerprint)
      : serviceOfFit(this.#registry, fit).definition;
  }
}
