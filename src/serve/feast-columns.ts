/**
 * Which columns a request on Feast's wire may have among its entities: keys and request data of what it asks for, and keys
 * of any other registered entity, since a caller may send all it knows of a row for whichever features. A column that
 * nothing reads is refused, as the other doors do: of a misspelt name the value would be a null that nobody sent.
 */
import { nearestNames } from "../base/nearest-names.ts";
import { OnefoldError } from "../base/errors.ts";
import type { EntityDefinition } from "../define/definition.ts";
import type { Registry } from "../registry/registry.ts";
import type { NamedPlan } from "./experiment-plan.ts";

const namesOfPlans = new WeakMap<NamedPlan, ReadonlySet<string>>();

/** What is said of the first column that nothing reads; null where there is none. */
export function unreadColumn(
  plan: NamedPlan,
  columns: Readonly<Record<string, unknown>>,
  registry: Pick<Registry, "entities">,
): OnefoldError | null {
  const names = namesOf(plan);
  for (const name of Object.keys(columns)) {
    if (names.has(name) || registry.entities().some(({ definition }) => hasName(definition, name))) continue;
    return new OnefoldError("REQUEST_INVALID", `"${name}" is no key column, and no request data of these features`, {
      where: `entities.${name}`,
      hint: `they take ${[...keyNames(plan), ...requestNames(plan)].join(", ")}`,
      candidates: nearestNames(name, names),
    });
  }
  return null;
}

function namesOf(plan: NamedPlan): ReadonlySet<string> {
  let names = namesOfPlans.get(plan);
  if (names === undefined) {
    names = new Set([...plan.entities.map(({ name }) => name), ...keyNames(plan), ...requestNames(plan)]);
    namesOfPlans.set(plan, names);
  }
  return names;
}

function keyNames({ entities }: NamedPlan): Set<string> {
  return new Set(entities.flatMap(({ keys }) => keys.map(({ name }) => name)));
}

function requestNames({ request }: NamedPlan): string[] {
  return request.map(({ name }) => name);
}

function hasName({ name, keys }: EntityDefinition, column: string): boolean {
  return name === column || keys.some((key) => key.name === column);
}
