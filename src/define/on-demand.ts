/**
 * `onDemand`: features computed at request time by a pure function of other features and of what the
 * request carries. `src/vector/` runs it, for a request and for a training row alike.
 */
import { pastProblems, type AnyColumnType, type KindOf, type RequestRow, type ValueRow } from "./column-type.ts";
import { callSite, refuse } from "./defined-at.ts";
import type { Described, OnDemandContext, OnDemandDefinition } from "./definition.ts";
import { frozen } from "./frozen.ts";
import { nameProblems, versionProblems } from "./names.ts";
import { rememberReferences } from "./references.ts";
import {
  type AnySelectable,
  asSelection,
  type KeysOf,
  type RequestOf,
  type Selectable,
  type ValuesOf,
  withSelection,
} from "./selection.ts";
import { checkShape } from "./shape.ts";
import { repeated } from "./source-problems.ts";
import type { Simplify, ValueOfKind } from "./typing.ts";

type Columns = Readonly<Record<string, AnyColumnType>>;
type Intersection<U> = (U extends unknown ? (value: U) => void : never) extends (value: infer I) => void ? I : never;

type Inputs<I extends readonly AnySelectable[], R> = Simplify<
  Intersection<I extends readonly [] ? {} : ValuesOf<I[number]>> & ValueRow<R>
>;
type Outputs<O> = { readonly [N in keyof O & string]: ValueOfKind<KindOf<O[N]>> | null };

interface OnDemandOptions<I extends readonly AnySelectable[], R extends Columns, O extends Columns> extends Described {
  readonly version?: number | "dev";
  /** Features that the function reads; on-demand ones among them are computed first. */
  readonly inputs: I;
  /** Columns that the caller sends with the request, and label rows carry under the same names. */
  readonly request?: R;
  readonly outputs: O;
  /**
   * What an exception, an output that is not of its type, or an input whose own status is ERROR does. "status"
   * (default): the outputs concerned are null with status ERROR and a code, the rest of the vector stands.
   * "fail": the request, or the training set, fails with that code.
   */
  readonly onError?: "status" | "fail";
  /** Pure: the same inputs give the same outputs, with no clock but `asOf` and no chance but `random`. */
  readonly compute: (inputs: Inputs<I, R>, context: OnDemandContext) => Outputs<O>;
}

/** What the function of an on-demand view is given: its inputs by name, its own request columns. */
interface Takes<I, R> {
  readonly inputs: I;
  readonly request: R;
}

export interface OnDemand<N extends string = string, V = any, K = any, Q = any, T = any>
  extends OnDemandDefinition, Selectable<V, K, Q> {
  readonly name: N;
  readonly "~takes"?: T;
}

/** Features computed at request time. Throws `DEFINITION_INVALID`. */
export function onDemand<
  const N extends string,
  const I extends readonly AnySelectable[],
  O extends Columns,
  R extends Columns = {},
>(
  name: N,
  options: OnDemandOptions<I, R, O>,
): OnDemand<
  N,
  Outputs<O>,
  Intersection<I extends readonly [] ? {} : KeysOf<I[number]>>,
  Simplify<RequestRow<R> & Intersection<I extends readonly [] ? {} : RequestOf<I[number]>>>,
  Takes<Simplify<Intersection<I extends readonly [] ? {} : ValuesOf<I[number]>>>, RequestRow<R>>
> {
  checkShape(onDemand, "on-demand view", name, options, { inputs: "list", outputs: "members" }, [
    "version",
    "request",
    "compute",
    "onError",
  ]);
  const definedAt = callSite(onDemand);
  const selections = options.inputs.map((one) => asSelection(one, definedAt));
  const definition: OnDemandDefinition = frozen({
    kind: "on-demand",
    name: name as string,
    version: options.version ?? 1,
    inputs: selections.flatMap((selection) => selection.features),
    request: Object.entries(options.request ?? {}).map(([column, type]) => ({
      name: column,
      type: type.valueType,
      nullable: type.isNullable,
      ...(type.description === undefined ? {} : { description: type.description }),
    })),
    outputs: Object.entries(options.outputs).map(([output, type]) => ({
      name: output,
      type: type.valueType,
      ...(type.description === undefined ? {} : { description: type.description }),
    })),
    onError: options.onError === "status" ? undefined : options.onError,
    compute: options.compute as unknown as OnDemandDefinition["compute"],
    description: options.description,
    owner: options.owner,
    tags: options.tags,
    definedAt,
  });
  const ofPast = pastProblems("request column", options.request ?? {});
  refuse(definition, "on-demand view", [...ofPast, ...onDemandProblems(definition)]);
  const result = withSelection(definition);
  rememberReferences(
    result,
    selections.map((selection) => selection.from),
  );
  return result as unknown as OnDemand<N, any, any, any, any>;
}

/** What contradicts itself in an on-demand view; empty when nothing does. */
export function onDemandProblems(definition: OnDemandDefinition): string[] {
  const inputs = [...definition.inputs.map((input) => input.as), ...definition.request.map((column) => column.name)];
  const untyped = [...definition.request, ...definition.outputs].filter((column) => column.type === undefined);
  return [
    ...nameProblems("its name", definition.name),
    ...versionProblems(definition.version),
    ...(definition.outputs.length === 0 ? ["it has no outputs"] : []),
    ...definition.outputs.flatMap((output) => nameProblems("output", output.name)),
    ...repeated(definition.outputs.map((output) => output.name)).map((name) => `there are two outputs "${name}"`),
    ...repeated(inputs).map((name) => `two inputs are named "${name}": use .prefix() or .rename() on one`),
    ...untyped.map((column) => `"${column.name}" has no type: give one such as t.float64()`),
    ...(definition.onError === undefined || definition.onError === "fail"
      ? []
      : [`onError is ${JSON.stringify(definition.onError)}: give "status" or "fail"`]),
    ...(typeof definition.compute === "function" ? [] : ["compute is not a function"]),
  ];
}
