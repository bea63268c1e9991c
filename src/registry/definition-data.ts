/**
 * Definitions as JSON data: what the registry's file holds and fingerprints are taken of.
 *
 * Functions stay out: a custom aggregation or transformation keeps its name, output and code fingerprint, and
 * gets functions that only refuse when it is read back, until loaded code is attached.
 */
import { createHash } from "node:crypto";
import { OnefoldError } from "../base/errors.ts";
import type { Definition, OnDemandDefinition } from "../define/definition.ts";
import type { CustomTransformation } from "../define/transformation-definition.ts";
import type { CustomAggregation } from "../define/aggregation-definition.ts";
import { nodesOf } from "../define/transformation-text.ts";

/** JSON data with sorted keys; undefined members are left out. */
export type Data = null | boolean | number | string | readonly Data[] | { readonly [name: string]: Data };

/** The definition as data, with bytes and non-finite numbers written as `{"$bytes"}` and `{"$number"}`. */
export function toData(definition: Definition): Data {
  return write(definition);
}

function write(value: unknown): Data {
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") return Number.isFinite(value) ? value : { $number: String(value) };
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("base64") };
  if (Array.isArray(value)) return value.map(write);
  if (typeof value !== "object")
    throw new OnefoldError("INTERNAL", `a definition holds a value of type ${typeof value}`);
  if (isCustom(value)) return write(withoutFunctions(value));
  if (isTransformation(value)) return write(withoutFitAndApply(value));
  if (isOnDemand(value)) return write(withoutCompute(value));
  const members = value as Readonly<Record<string, unknown>>;
  const names = Object.keys(members).filter((name) => members[name] !== undefined);
  return Object.fromEntries(names.sort().map((name) => [name, write(members[name])]));
}

function isCustom(value: object): value is CustomAggregation {
  return "empty" in value && typeof value.empty === "function";
}

function isTransformation(value: object): value is CustomTransformation {
  return "apply" in value && typeof value.apply === "function";
}

function isOnDemand(value: object): value is OnDemandDefinition {
  return "compute" in value && typeof value.compute === "function";
}

function withoutFunctions(custom: CustomAggregation): object {
  const { name, output, definedAt } = custom;
  return { name, output, definedAt, merges: custom.merge !== undefined, codeFingerprint: customFingerprint(custom) };
}

function withoutFitAndApply({ name, output, definedAt, fit, apply, codeFingerprint }: CustomTransformation): object {
  const ownText = [fit, apply].map((fn) => fn?.toString() ?? "").join("\n");
  return { name, output, definedAt, fits: fit !== undefined, codeFingerprint: codeFingerprint ?? hashText(ownText) };
}

function withoutCompute(definition: OnDemandDefinition): object {
  const { compute, ...data } = definition;
  return { ...data, codeFingerprint: definition.codeFingerprint ?? hashText(compute.toString()) };
}

/** The loader's hash of the code or, for definitions made in this process, one of the functions' own text. */
function customFingerprint(custom: CustomAggregation): string {
  const { empty, add, merge, read } = custom;
  return custom.codeFingerprint ?? hashText([empty, add, merge, read].map((fn) => fn?.toString() ?? "").join("\n"));
}

export function hashText(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** The definition that `toData` wrote. Its functions, if it has any, throw `FINGERPRINT_MISMATCH`. */
export function fromData(data: Data): Definition {
  return read(data) as Definition;
}

function read(data: Data): unknown {
  if (data === null || typeof data !== "object") return data;
  if (Array.isArray(data)) return Object.freeze(data.map(read));
  const members = data as { readonly [name: string]: Data };
  if (typeof members["$bytes"] === "string") return new Uint8Array(Buffer.from(members["$bytes"], "base64"));
  if (typeof members["$number"] === "string") return Number(members["$number"]);
  const object: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(members)) object[name] = read(member);
  if ("merges" in object) return Object.freeze(withRefusingFunctions(object));
  if ("fits" in object) return Object.freeze(withRefusingFitAndApply(object));
  if (object["kind"] === "on-demand") object["compute"] = refusing(String(object["name"]));
  return Object.freeze(object);
}

function withRefusingFunctions({ merges, ...custom }: Record<string, unknown>): object {
  const refuse = refusing(String(custom["name"]));
  return { ...custom, empty: refuse, add: refuse, read: refuse, ...(merges === true ? { merge: refuse } : {}) };
}

function withRefusingFitAndApply({ fits, ...custom }: Record<string, unknown>): object {
  const refuse = refusing(String(custom["name"]));
  return { ...custom, apply: refuse, ...(fits === true ? { fit: refuse } : {}) };
}

function refusing(name: string): () => never {
  return () => {
    throw new OnefoldError("FINGERPRINT_MISMATCH", `the code of "${name}" is not loaded`, {
      hint: "pass the definitions file that registered it",
    });
  };
}

/**
 * Whether a definition has functions beside its data, or runs a program: whoever may only write to the registry runs nothing
 * on the servers that share it.
 */
export function hasCode(definition: Definition): boolean {
  if (definition.kind === "on-demand" || definition.kind === "command") return true;
  if (definition.kind === "service") {
    return definition.transform?.some(({ node }) => nodesOf(node).some((part) => part.op === "custom")) ?? false;
  }
  return definition.kind === "view" && definition.features.some((feature) => feature.aggregation.custom !== undefined);
}
