/**
 * Which variant a unit is served: a pure function of the experiment, the steps that it took, and the unit's text.
 *
 * A unit's point is the first 53 bits of the SHA-256 of `salt`, a line feed and the unit's canonical text, in UTF-8. Any
 * language computes it in a line; in Python:
 *
 *     int.from_bytes(hashlib.sha256(f"{salt}\n{unit}".encode()).digest()[:8], "big") >> 11
 *
 * A salt has no line feed, so no two pairs of salt and unit are the same text.
 */
import { createHash } from "node:crypto";
import type { ExperimentDefinition } from "./experiment-definition.ts";
import { type ExperimentStep, layoutOf, POINTS, variantAt } from "./experiment-layout.ts";

/** A whole number from 0, less than 2^53. */
export function unitPoint(salt: string, unit: string): number {
  const digest = createHash("sha256").update(`${salt}\n${unit}`).digest();
  return digest.readUInt32BE(0) * 2 ** 21 + (digest.readUInt32BE(4) >>> 11);
}

/** The place of the variant that a unit, by its canonical text, is served. */
export type AssignVariant = (unit: string) => number;

/** `steps`: what the experiment was told since it was registered, its first weights first. */
export function variantAssigner(experiment: ExperimentDefinition, steps: readonly ExperimentStep[]): AssignVariant {
  const { salt, overrides = [] } = experiment;
  const layout = layoutOf(steps);
  const [first] = layout;
  if (first!.to === POINTS && steps.some((step) => "stopped" in step)) return () => first!.variant;
  const overridden = new Map(overrides.map(({ unit, variant }) => [unit, variant]));
  return (unit) => overridden.get(unit) ?? variantAt(layout, unitPoint(salt, unit));
}

/** Whether the answers to a unit go to the serving log: independent of the variant that it is served. */
export function isExposureKept({ salt, exposures = 1 }: ExperimentDefinition, unit: string): boolean {
  return exposures >= 1 || unitPoint(`${salt} exposures`, unit) < exposures * POINTS;
}
