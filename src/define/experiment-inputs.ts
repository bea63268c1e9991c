/**
 * What a request by an experiment's name must carry: the keys and request data of all its variants, whichever is served, so
 * that a caller who forgets some learns it at once; and its unit.
 */
import type { Column } from "../schema/value.ts";
import type { FeatureReference, OnDemandDefinition, ServiceDefinition, ViewDefinition } from "./definition.ts";
import type { ExperimentDefinition } from "./experiment-definition.ts";
import { requestColumnsOf } from "./request-columns.ts";

export type FindView = (name: string, version: number | "dev") => ViewDefinition | OnDemandDefinition | null;

export interface ExperimentInputs {
  /** Names of entities, in the order of first use, the control's first. */
  readonly entities: readonly string[];
  /** The variants' columns, and the unit's where none of them has it. */
  readonly request: readonly Column[];
  /** Sentences; empty where there is nothing wrong. */
  readonly problems: readonly string[];
}

/** `services`: of the variants, in their order. What `find` gives null for is passed over. */
export function experimentInputs(
  { unit }: Pick<ExperimentDefinition, "unit">,
  services: readonly ServiceDefinition[],
  find: FindView,
): ExperimentInputs {
  const entities = entitiesOf(services, find);
  const { columns, problems } = requestColumnsOf(featuresOf(services), onDemandBy(find));
  if (unit.from === "entity") {
    const isRead = entities.includes(unit.name);
    const unread = `its unit ${unit.name} is none of the entities that its versions read: ${entities.join(", ")}`;
    return { entities, request: columns, problems: isRead ? problems : [...problems, unread] };
  }
  const own = columns.find(({ name }) => name === unit.name);
  if (own === undefined) {
    const column: Column = { name: unit.name, type: { name: "string" }, nullable: false };
    return { entities, request: [...columns, column], problems };
  }
  const isText = own.type.name === "string" || own.type.name === "int64";
  const untold = `its unit, request column "${unit.name}", is a ${own.type.name}: a unit is a string or an int64`;
  return {
    entities,
    request: columns.map((column) => (column === own ? { ...own, nullable: false } : column)),
    problems: isText ? problems : [...problems, untold],
  };
}

/** What a version reads that requests by the experiment's name do not carry; empty where that is nothing. */
export function unsentInputs(
  { entities, request }: ExperimentInputs,
  service: ServiceDefinition,
  find: FindView,
): string[] {
  const { columns } = requestColumnsOf(service.features, onDemandBy(find));
  return [
    ...entitiesOf([service], find).filter((name) => !entities.includes(name)),
    ...columns.map(({ name }) => name).filter((name) => !request.some((column) => column.name === name)),
  ];
}

function entitiesOf(services: readonly ServiceDefinition[], find: FindView): string[] {
  const names = new Set<string>();
  const visit = ({ view, version }: FeatureReference): void => {
    const found = find(view, version);
    if (found?.kind === "view") names.add(found.entity);
    else found?.inputs.forEach(visit);
  };
  featuresOf(services).forEach(visit);
  return [...names];
}

function featuresOf(services: readonly ServiceDefinition[]): FeatureReference[] {
  return services.flatMap(({ features }) => features);
}

function onDemandBy(find: FindView): (name: string, version: number | "dev") => OnDemandDefinition | null {
  return (name, version) => {
    const found = find(name, version);
    return found?.kind === "on-demand" ? found : null;
  };
}
