/**
 * The user's own transformation. Whatever its functions do, a vector has a value, null or an ERROR, and the
 * same of the same: what it was fitted to is frozen, and a result is held against the declared type.
 */
import type { CustomTransformation } from "../../define/transformation-definition.ts";
import { frozen } from "../../define/frozen.ts";
import { canonicalJson } from "../../fold/canonical-json.ts";
import { conformingValue } from "../../fold/custom-value.ts";
import type { Data } from "../../registry/definition-data.ts";
import type { Operation } from "./operation.ts";

export const custom: Operation<"custom", Data> = {
  isFitted: (node) => node.custom.fit !== undefined,
  /** Through its text, so that `apply` sees the same now and when the fit is read back. */
  fit: (node, values) => JSON.parse(canonicalJson(node.custom.fit!(values))) as Data,
  compile: (node, parameters) => {
    const { apply, output }: CustomTransformation = node.custom;
    const fitted = typeof parameters === "object" && parameters !== null ? frozen(parameters) : parameters;
    return (value) => {
      try {
        return conformingValue(apply(value, fitted), output, false);
      } catch {
        return undefined;
      }
    };
  },
};
