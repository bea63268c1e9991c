/**
 * The services of one training set, planned together: each view and feature that any of them reads is joined once, and
 * each service's vector is made from there as it is in a set of its own.
 *
 *     names of columns     one service:      feature
 *                          several services: feature, where one of them has that name; else service__feature in all that do
 *
 * Names count as equal whatever their case, as columns of tables do.
 */
import { OnefoldError } from "../base/errors.ts";
import { registryOfAnyTime } from "../registry/registry-of-any-time.ts";
import { type Column, formatType, sameType, type ValueType } from "../schema/value.ts";
import { serviceToCompute } from "../vector/service-to-compute.ts";
import type { ProgramOutput } from "../vector/service-program.ts";
import { type ByService, byService, namesOf, type ServiceChoice } from "./by-service.ts";
import type { TrainingPorts } from "./ports.ts";
import { JoinPlanner, type JoinPlan, type PlannedService, planFeatures } from "./service-plan.ts";

/** Between the name of a service and that of its feature. */
export const SERVICE_SEPARATOR = "__";

/** A feature of one of the services, as a column of the set. */
export interface PlannedColumn {
  /** Of the column. */
  readonly name: string;
  readonly type: ValueType;
  readonly service: string;
  readonly output: ProgramOutput;
}

export interface TrainingPlan extends JoinPlan {
  /** As the services were asked for, in their order. */
  readonly names: readonly string[];
  readonly services: readonly PlannedService[];
  /** By service, in the order of its vector. */
  readonly columns: readonly (readonly PlannedColumn[])[];
  /** What requests of the services must carry; what any of them takes for granted must be there. */
  readonly request: readonly Column[];
  /** Ids of the services of which a fit was asked for; rows of others go by the fits in their tokens. */
  readonly fitted: ReadonlySet<string>;
}

/**
 * Throws what `planService` throws; `REQUEST_INVALID` for no service, one that is named twice, a fit of a service that is not
 * among them, and for services that need different types under one name or whose columns cannot be told apart.
 */
export function planTraining(ports: TrainingPorts, choice: ServiceChoice, fit?: ByService<number>): TrainingPlan {
  const names = namesOf(choice);
  const fits = byService(names, fit, "fit");
  const planner = new JoinPlanner(ports);
  // What was retired is trained on by its number.
  const registry = registryOfAnyTime(ports.registry);
  const services = names.map((name) => planner.add(serviceToCompute(registry, ports.fits, name, fits.get(name))));
  // Two names may mean one version.
  namesOf(services.map(({ service }) => service));
  const fitted = services.flatMap(({ service }, i) => (fits.has(names[i]!) ? [service] : []));
  return planned(planner.plan(), names, services, new Set(fitted));
}

/** A service's features alone, as its transformations are fitted to them. Throws what `planFeatures` throws. */
export function planToFit(ports: TrainingPorts, service: string): TrainingPlan {
  const plan = planFeatures(ports, service);
  return planned(plan, [service], [plan], new Set([plan.service]));
}

function planned(
  join: JoinPlan,
  names: readonly string[],
  services: readonly PlannedService[],
  fitted: ReadonlySet<string>,
): TrainingPlan {
  const { entities, views, inputCount } = join;
  return {
    entities,
    views,
    inputCount,
    names,
    services,
    columns: columnsOf(services),
    request: requestOf(services),
    fitted,
  };
}

function columnsOf(services: readonly PlannedService[]): PlannedColumn[][] {
  const counts = new Map<string, number>();
  for (const { program } of services) {
    for (const name of new Set(program.outputs.map((output) => output.name.toLowerCase()))) {
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  const columns = services.map(({ service, program }) =>
    program.outputs.map((output): PlannedColumn => {
      const isShared = counts.get(output.name.toLowerCase())! > 1;
      const name = isShared ? service + SERVICE_SEPARATOR + output.name : output.name;
      return { name, type: output.type, service, output };
    }),
  );
  if (services.length > 1) refuseEqualNames(columns.flat());
  return columns;
}

function refuseEqualNames(columns: readonly PlannedColumn[]): void {
  const taken = new Map<string, PlannedColumn>();
  for (const column of columns) {
    const other = taken.get(column.name.toLowerCase());
    taken.set(column.name.toLowerCase(), column);
    if (other === undefined) continue;
    const [a, b] = [other, column].map(({ service, output }) => `${output.name} of ${service}`);
    throw new OnefoldError("REQUEST_INVALID", `${a} and ${b} would both be the column ${column.name}`, {
      hint: "give one of them another name in its service, or train the services by themselves",
    });
  }
}

function requestOf(services: readonly PlannedService[]): Column[] {
  const columns = new Map<string, Column & { readonly service: string }>();
  for (const { service, program } of services) {
    for (const column of program.request) {
      const known = columns.get(column.name);
      if (known !== undefined && !sameType(known.type, column.type)) {
        const what = `${known.service} takes ${column.name} as ${formatType(known.type)}, ${service} as ${formatType(column.type)}`;
        throw new OnefoldError("REQUEST_INVALID", `the services' requests differ in the type of a column: ${what}`, {
          hint: "train the services by themselves",
        });
      }
      columns.set(column.name, { ...column, service, nullable: column.nullable && (known?.nullable ?? true) });
    }
  }
  return [...columns.values()].map(({ service: _service, ...column }) => column);
}
