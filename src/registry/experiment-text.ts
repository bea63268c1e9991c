/** An experiment in a line: which versions it serves to which share of the units. */
import { type ExperimentDefinition, formatVariant } from "../define/experiment-definition.ts";

export function experimentText({ variants, weights, unit, shadow }: ExperimentDefinition): string {
  const served = variants.map((variant, i) => `${formatVariant(variant)} ${weights[i]!}`).join(", ");
  const by = unit.from === "entity" ? unit.name : `request.${unit.name}`;
  const beside = shadow === undefined ? "" : `, ${formatVariant(shadow)} computed beside ${shadow.share * 100}%`;
  return `${served} by ${by}${beside}`;
}
