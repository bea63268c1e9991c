/**
 * Label rows as they were served: a row whose token carries a fit is computed by that fit and by the definition
 * it is of, every other by the service as it is. One spine may hold rows of several fits.
 *
 * All rows have the columns of the service as it is, so a fit whose definition gives other ones, or needs keys or
 * request data that the service does not ask for, is refused.
 */
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import type { Column } from "../schema/value.ts";
import { formatType } from "../schema/value.ts";
import type { FitRead, VectorToken } from "../schema/vector-token.ts";
import { definitionToCompute, type ServiceToCompute } from "../vector/service-to-compute.ts";
import type { TrainingPorts } from "./ports.ts";
import { planPrograms, type ServicePlan } from "./service-plan.ts";

export interface ServedRows {
  /** Column of the spine that has the tokens. */
  readonly column: string;
  /** With a program for each fit that rows carry. */
  readonly plan: ServicePlan;
  /** By label row. */
  readonly tokens: readonly VectorToken[];
  /** By label row, place in the plan's programs. */
  readonly programOf: Int32Array;
}

/**
 * Throws `SPINE_INVALID` for rows of a fit that does not go with the service, `FIT_UNKNOWN`, `FIT_CORRUPT`, and
 * what `planPrograms` throws, each naming the first such row.
 */
export function planServedFits(
  ports: TrainingPorts,
  plan: ServicePlan,
  tokens: readonly VectorToken[],
  column: string,
): ServedRows {
  const own = plan.programs[0]!;
  const others: ServiceToCompute[] = [];
  const places = new Map<string, number>();
  const programOf = new Int32Array(tokens.length);
  for (const [row, { fit }] of tokens.entries()) {
    if (fit === undefined) continue;
    const id = `${fit.version} ${fit.sha256}`;
    let place = places.get(id);
    if (place === undefined) {
      place = isOf(own, fit) ? 0 : others.push(otherFit(ports, plan, fit, column, row));
      places.set(id, place);
    }
    programOf[row] = place;
  }
  const joined = others.length === 0 ? plan : planPrograms(ports, own, others, plan.entities);
  return { column, plan: joined, tokens, programOf };
}

function isOf({ fit }: ServiceToCompute, { version, sha256 }: FitRead): boolean {
  return fit !== null && fit.version === version && fit.sha256.startsWith(sha256);
}

/** What a row was served with; the row is the first of its fit. */
function otherFit(
  ports: TrainingPorts,
  plan: ServicePlan,
  read: FitRead,
  column: string,
  row: number,
): ServiceToCompute {
  const where = `column ${column}, row ${row + 1} (counted from 1, without a header)`;
  const { service } = plan;
  try {
    const served = definitionToCompute(ports.registry, ports.fits, plan.programs[0]!, read.version);
    if (!isOf(served, read)) {
      throw new OnefoldError(
        "SPINE_INVALID",
        `a vector was served with another fit ${read.version} than ${service} has`,
        {
          hint: "give the label rows of vectors that this service served, from this data folder",
        },
      );
    }
    const differences = differencesOf(plan, planPrograms(ports, served));
    if (differences.length === 0) return served;
    const what = `a vector was served with fit ${read.version} of ${service}, and its definition then`;
    throw new OnefoldError("SPINE_INVALID", `${what} ${differences.join("; ")}`, {
      hint: `train the rows of fit ${read.version} by themselves, with --fit ${read.version}`,
    });
  } catch (error) {
    if (!isOnefoldError(error)) throw error;
    const place = error.where === undefined ? where : `${where}; ${error.where}`;
    throw new OnefoldError(error.code, error.message, { ...error.toJSON(), where: place, cause: error });
  }
}

/** In what the rows of one plan cannot stand among those of the other, in words. */
function differencesOf(present: ServicePlan, served: ServicePlan): string[] {
  const differences: string[] = [];
  const [now, then] = [present, served].map((plan) => plan.program.outputs.map(columnText)) as [string[], string[]];
  const lost = then.filter((column) => !now.includes(column));
  const gained = now.filter((column) => !then.includes(column));
  if (lost.length > 0) differences.push(`had ${lost.join(", ")}`);
  if (gained.length > 0) differences.push(`had no ${gained.join(", ")}`);
  if (differences.length === 0 && now.join() !== then.join()) differences.push("had its columns in another order");
  const keys = served.entities.filter(({ name }) => !present.entities.some((entity) => entity.name === name));
  if (keys.length > 0) differences.push(`read features of ${keys.map(({ name }) => name).join(", ")}`);
  const asked = present.program.request.map(requestText);
  const more = served.program.request.map(requestText).filter((column) => !asked.includes(column));
  if (more.length > 0) differences.push(`was given ${more.join(", ")} in requests`);
  return differences;
}

function columnText({ name, type }: Pick<Column, "name" | "type">): string {
  return `${name} (${formatType(type)})`;
}

function requestText(column: Column): string {
  return `${columnText(column)}${column.nullable ? " or null" : ""}`;
}
