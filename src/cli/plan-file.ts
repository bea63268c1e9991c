/**
 * A plan in a file: what `plan --out` writes, and what `apply FILE` holds against the definitions. That the registry is the
 * one that was planned on is judged where it is changed.
 */
import { readFile } from "node:fs/promises";
import { OnefoldError } from "../base/errors.ts";
import type { Definition } from "../define/definition.ts";
import { PLAN_FORMAT, type ReviewedPlan } from "../platform/reviewed-plan.ts";
import { replaceFile } from "../registry/atomic-file.ts";
import { refuseOtherDefinitions } from "./planned-definitions.ts";

/** Throws `STORAGE_FAILED`. */
export async function writePlanFile(file: string, plan: ReviewedPlan): Promise<void> {
  await replaceFile(file, `${JSON.stringify(plan, null, 1)}\n`);
}

/** The `state` that the registry must have. Throws `FILE_UNREADABLE`, `PLAN_STALE`. */
export async function plannedOver(file: string, definitions: readonly Definition[]): Promise<string> {
  const plan = await readPlan(file);
  refuseOtherDefinitions(definitions, plan.definitions, file);
  return plan.base;
}

async function readPlan(file: string): Promise<Pick<ReviewedPlan, "base" | "definitions">> {
  let plan: Partial<Record<keyof ReviewedPlan, unknown>> | null;
  try {
    plan = JSON.parse(await readFile(file, "utf8")) as typeof plan;
  } catch (error) {
    throw new OnefoldError("FILE_UNREADABLE", `the plan cannot be read: ${(error as Error).message}`, {
      where: file,
      hint: "write one with: onefold plan --out FILE",
      cause: error,
    });
  }
  // JSON has values without members.
  const { format, base, definitions } = plan ?? {};
  if (format === PLAN_FORMAT && typeof base === "string" && typeof definitions === "string")
    return { base, definitions };
  throw new OnefoldError("FILE_UNREADABLE", `it is no plan of the format ${PLAN_FORMAT}`, {
    where: file,
    hint: "write one with: onefold plan --out FILE",
  });
}
