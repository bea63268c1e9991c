/** A service in two definitions, and fits of them, that the tests of fits start from. */
import { service } from "../../src/define/service.ts";
import { impute, standardize } from "../../src/define/transformation.ts";
import type { OnefoldError } from "../../src/base/errors.ts";
import { fingerprint } from "../../src/registry/fingerprint.ts";
import type { NewFit } from "../../src/registry/fitted-service.ts";
import { spend } from "./example-definitions.ts";

export const model = service("model", {
  features: [spend],
  transform: { mean_amount_1h: standardize(impute("mean_amount_1h", "median")) },
});
export const redefined = service("model", {
  features: [spend],
  transform: { mean_amount_1h: standardize("mean_amount_1h") },
});

export function newFit(definition: typeof model | typeof redefined, mean: number): NewFit {
  return {
    definition,
    fingerprint: fingerprint(definition),
    parameters: [{ transformation: "standardize(x)", values: 3, parameters: { mean, deviation: 5e-324 } }],
    split: { train: "all rows", rowsTrain: 3, rowsTotal: 3 },
    training: { manifest: 1 },
    created: "2001-01-01T00:00:00Z",
  };
}

export function refusal(work: () => unknown): OnefoldError {
  try {
    work();
  } catch (error) {
    return error as OnefoldError;
  }
  throw new Error("it was accepted");
}
