/**
 * `expectOnDemand`: what an on-demand view computes from the inputs, request data and time that a test gives.
 *
 *     expectOnDemand(unusual)
 *       .given({ inputs: { mean_amount_7d: 10 }, request: { amount: 25 } })
 *       .at("2026-01-01T11:00:00Z")
 *       .toEqual({ to_mean: 2.5 });
 *
 * It runs the step that serving, training and the audit run, behind the door for request data.
 */
import { OnefoldError } from "../base/errors.ts";
import { formatMicros } from "../base/micros.ts";
import { nearestNames } from "../base/nearest-names.ts";
import { formatViewName, type OnDemandDefinition } from "../define/definition.ts";
import { withReferences } from "../define/references.ts";
import type { AnySelectable, ValuesOf } from "../define/selection.ts";
import { checkValue } from "../schema/check-value.ts";
import type { Row, Value, ValueType } from "../schema/value.ts";
import { onDemandStep } from "../vector/on-demand-step.ts";
import { requestRow } from "../vector/request-row.ts";
import { qualifiedName } from "../vector/service-program.ts";
import { createSlots, failSlot, setSlot } from "../vector/vector-slots.ts";
import type { ExpectedValue } from "./expected-value.ts";
import type { TimeInput } from "./given-row.ts";
import { Reading } from "./reading.ts";
import { timeOf } from "./simulated-view.ts";
import { formatValue } from "./value-text.ts";

type AnyOnDemand = OnDemandDefinition & AnySelectable;
type TakesOf<D> = D extends { readonly "~takes"?: infer T } ? T : never;
type InputsOf<D> = TakesOf<D> extends { readonly inputs: infer I } ? I : never;
type RequestDataOf<D> = TakesOf<D> extends { readonly request: infer R } ? R : never;

/** Stands for an input whose own status is ERROR. */
export const inputError: unique symbol = Symbol("an input with status ERROR");

/** What a test hands over. Inputs that are not named are null, as those of an entity that nobody has seen. */
export interface Given<I, R> {
  readonly inputs?: { readonly [N in keyof I]?: ExpectedValue<I[N]> | null | typeof inputError };
  readonly request?: R;
}

/** Throws `DEFINITION_INVALID` for what is not an on-demand view as `onDemand()` returns it. */
export function expectOnDemand<D extends AnyOnDemand>(
  definition: D,
): OnDemandExpectation<ValuesOf<D>, InputsOf<D>, RequestDataOf<D>> {
  return new OnDemandExpectation(definition, {});
}

/** An on-demand view and what it is given. Immutable. */
export class OnDemandExpectation<V, I, R> {
  readonly #definition: OnDemandDefinition;
  readonly #inputTypes: readonly ValueType[];
  readonly #given: Given<I, R>;

  /** Made by `expectOnDemand`. */
  constructor(definition: OnDemandDefinition, given: Given<I, R>) {
    this.#definition = definition;
    this.#inputTypes = inputTypes(definition);
    this.#given = given;
  }

  /** Inputs under the names its function knows them by, and the data of the request. */
  given(given: Given<I, R>): OnDemandExpectation<V, I, R> {
    return new OnDemandExpectation(this.#definition, given);
  }

  /**
   * What it computes at this time. Throws `TIME_INVALID`, what request data is refused with, `TYPE_MISMATCH`
   * and its like for inputs, and with `onError: "fail"` the code of what failed.
   */
  at(time: TimeInput): OnDemandReading<V, I, R> {
    const { inputs, outputs } = this.#definition;
    const asOf = timeOf(time);
    const request = requestRow(this.#definition.request, this.#given.request);
    const values = this.#inputValues();
    const slots = createSlots(inputs.length + outputs.length);
    values.forEach((value, slot) => {
      if (value === inputError) failSlot(slots, slot, "INTERNAL", null);
      else setSlot(slots, slot, value);
    });
    onDemandStep(this.#definition, {
      inputSlots: inputs.map((_, i) => i),
      requestPlaces: this.#definition.request.map((_, i) => i),
      outputSlots: outputs.map((_, i) => inputs.length + i),
    })(slots, request, asOf);
    const name = formatViewName(this.#definition);
    const codes = slots.codes.slice(inputs.length);
    const given = this.#givenLine(values, request);
    return new OnDemandReading(this, {
      name,
      title: `${name} at ${formatMicros(asOf)}`,
      features: outputs,
      values: slots.values.slice(inputs.length),
      statuses: slots.statuses.slice(inputs.length),
      behind: (slot) => [...(codes[slot] === null ? [] : [`because: ${codes[slot]}`]), `given: ${given}`],
      notes: [],
    });
  }

  #inputValues(): (Value | typeof inputError)[] {
    const given = (this.#given.inputs ?? {}) as Readonly<Record<string, unknown>>;
    const { inputs } = this.#definition;
    const names = inputs.map((input) => input.as);
    const unknown = Object.keys(given).find((name) => !names.includes(name));
    if (unknown !== undefined) {
      throw new OnefoldError("FEATURE_UNKNOWN", `${formatViewName(this.#definition)} has no input "${unknown}"`, {
        candidates: nearestNames(unknown, names),
        hint: `its inputs are: ${names.join(", ")}`,
      });
    }
    return names.map((name, i) => {
      const value = given[name];
      if (value === inputError) return value;
      const type = this.#inputTypes[i]!;
      return checkValue(asDoorTakes(value, type), type, { allowNonFinite: true, where: name });
    });
  }

  #givenLine(values: readonly (Value | typeof inputError)[], request: Row): string {
    const inputs = this.#definition.inputs.map(({ as }, i) => {
      const value = values[i]!;
      return `${as} = ${value === inputError ? "ERROR" : formatValue(value, this.#inputTypes[i]!)}`;
    });
    const columns = this.#definition.request.map(({ name, type }, i) => `${name} = ${formatValue(request[i]!, type)}`);
    return [...inputs, ...columns].join(", ") || "nothing";
  }
}

/** The outputs at one time. */
export class OnDemandReading<V, I, R> extends Reading<V> {
  readonly #expectation: OnDemandExpectation<V, I, R>;

  /** Made by `OnDemandExpectation.at`. */
  constructor(expectation: OnDemandExpectation<V, I, R>, read: ConstructorParameters<typeof Reading>[0]) {
    super(read);
    this.#expectation = expectation;
  }

  /** The same at another time. */
  at(time: TimeInput): OnDemandReading<V, I, R> {
    return this.#expectation.at(time);
  }

  /** The same view with other inputs and request data. */
  given(given: Given<I, R>): OnDemandExpectation<V, I, R> {
    return this.#expectation.given(given);
  }
}

/** Times may also be microseconds, as functions and `values()` have them. */
function asDoorTakes(value: unknown, type: ValueType): unknown {
  if (type.name === "array" && Array.isArray(value)) return value.map((element) => asDoorTakes(element, type.element));
  return type.name === "timestamp" && typeof value === "number" ? { micros: value } : value;
}

/** Types of the inputs, found in the definitions it was built from. */
function inputTypes(definition: OnDemandDefinition): ValueType[] {
  const types = new Map<string, ValueType>();
  for (const reference of withReferences([definition])) {
    const features =
      reference.kind === "view" ? reference.features : reference.kind === "on-demand" ? reference.outputs : [];
    for (const { name, type } of features) {
      const { version } = reference as OnDemandDefinition;
      types.set(qualifiedName({ view: reference.name, version, feature: name }), type);
    }
  }
  const found =
    definition.kind === "on-demand" ? definition.inputs.map((input) => types.get(qualifiedName(input))) : [undefined];
  if (found.every((type) => type !== undefined)) return found;
  throw new OnefoldError("DEFINITION_INVALID", "expectOnDemand needs an on-demand view as onDemand() returns it", {
    hint: "import it from your definitions: expectOnDemand(ratio), not a copy of it nor its name",
  });
}
