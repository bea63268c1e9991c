/**
 * Runs a service's program again over what a line of the serving log says it had read.
 */
import { isOnefoldError } from "../base/errors.ts";
import type { StatusCode } from "../fold/view-fold.ts";
import type { Registry } from "../registry/registry.ts";
import type { ComputedVector, ServedVector } from "../schema/served-vector.ts";
import { compileServiceProgram, qualifiedName, type ServiceProgram } from "../vector/service-program.ts";

export class ComputedAudit {
  readonly #registry: Registry;
  /** By the service's fingerprint; a sentence where there is none. */
  readonly #programs = new Map<string, ServiceProgram | string>();

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** The program with its slots computed, or why that cannot be done. */
  recompute(vector: ServedVector, computed: ComputedVector): ServiceProgram | string {
    const program = this.#programOf(vector.service, computed.fingerprint);
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

  #programOf(service: string, fingerprint: string): ServiceProgram | string {
    let program = this.#programs.get(fingerprint);
    if (program === undefined) this.#programs.set(fingerprint, (program = this.#compile(service, fingerprint)));
    return program;
  }

  #compile(service: string, fingerprint: string): ServiceProgram | string {
    const definition = this.#registry.serviceOfFingerprint(fingerprint);
    if (definition === null) return `service ${service} is not registered as it was when it served`;
    try {
      return compileServiceProgram(definition, this.#registry);
    } catch (error) {
      if (!isOnefoldError(error)) throw error;
      return `service ${service} cannot be computed: ${error.message}`;
    }
  }
}
