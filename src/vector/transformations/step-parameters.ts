/**
 * The parameters of a step, out of a fit.
 */
import { OnefoldError } from "../../base/errors.ts";
import type { Data } from "../../registry/definition-data.ts";
import type { FittedParameters } from "../../registry/fitted-service.ts";
import type { Step, TransformedService } from "./steps.ts";

/**
 * Throws `SERVICE_NOT_FITTED` where a fit is needed and there is none, and `FIT_CORRUPT` for one that lacks it.
 */
export function parametersOf(step: Step, fitted: FittedParameters | null, service: TransformedService): Data {
  if (!step.isFitted) return null;
  if (fitted === null) {
    throw new OnefoldError("SERVICE_NOT_FITTED", `${step.text} of service "${service.name}" has not been fitted`, {
      hint: `onefold fit --service ${service.name} --labels FILE`,
    });
  }
  const found = fitted.find(({ transformation }) => transformation === step.text);
  if (found !== undefined) return found.parameters;
  throw new OnefoldError("FIT_CORRUPT", `the fit has no parameters for ${step.text}`, {
    where: `service ${service.name}`,
    hint: `fit again: onefold fit --service ${service.name} --labels FILE`,
  });
}
