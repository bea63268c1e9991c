/**
 * A plan with all that a reviewer asks: what it breaks, what it computes from history and what that costs, what is no
 * longer in the code, and what has drifted. The format is docs/registry.md's, and never changes without its name.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isOnefoldError } from "../base/errors.ts";
import { type Definition, formatViewName, type ViewDefinition } from "../define/definition.ts";
import { formatVariant, servedVariants } from "../define/experiment-definition.ts";
import { serviceId, serviceReference } from "../define/service-version.ts";
import type { BackfillCost } from "../ingest/backfill-cost.ts";
import { ImportanceStore } from "../monitor/importance/importance-store.ts";
import { aliasesOf } from "../registry/alias-moves.ts";
import type { FittedService } from "../registry/fitted-service.ts";
import { type Drifted, definitionsDigest, type PlanReview, type Readers, reviewPlan } from "../registry/plan-review.ts";
import { formatType } from "../schema/value.ts";
import type { Plan, Registry } from "../registry/registry.ts";

export const PLAN_FORMAT = "onefold-plan/1";

export interface PlannedBackfill {
  /** `name@version`. */
  readonly view: string;
  readonly why: string;
  /** Null where it is not known: the note says why. */
  readonly cost: BackfillCost | null;
  readonly note?: string;
}

/** An offline table whose files are written anew, as a column of its source becomes a float64; pushes wait meanwhile. */
export interface PlannedRewrite {
  readonly table: string;
  readonly rows: number;
  readonly bytes: number;
  readonly files: number;
}

export interface ReviewedPlan extends Plan, PlanReview {
  readonly format: typeof PLAN_FORMAT;
  /** `state` of the registry that it is made over. */
  readonly base: string;
  /** Digest of the definitions that it is made of. */
  readonly definitions: string;
  readonly changes: PlanReview["changes"];
  readonly backfills: readonly PlannedBackfill[];
  readonly rewrites: readonly PlannedRewrite[];
  /** Whether anything that is in use stops. */
  readonly breaking: boolean;
}

/** Of a platform that may only read. */
export interface PlanningHouse {
  readonly registry: Registry;
  readonly dataDir: string;
  readonly tables: { list(): Promise<readonly PlannedRewrite[]> };
  plan(definitions: readonly Definition[]): Plan;
  fits(service: string): readonly FittedService[];
  backfillCost(options: {
    readonly view: string;
    readonly version: ViewDefinition["version"];
    readonly definitions: readonly Definition[];
  }): Promise<BackfillCost>;
}

export interface ReviewOptions {
  /** Whether costs are estimated, which folds a part of the events on trial; default true. */
  readonly costs?: boolean;
  /** What a server has loaded that is not registered so. */
  readonly loaded?: readonly Drifted[];
}

/** Throws as `plan`. */
export async function reviewedPlan(
  house: PlanningHouse,
  definitions: readonly Definition[],
  options: ReviewOptions = {},
): Promise<ReviewedPlan> {
  const { registry } = house;
  const plan = house.plan(definitions);
  const review = reviewPlan(plan, definitions, registry.find({}), registry.history(), await readersOf(house));
  const wanted = options.costs === false ? [] : viewsToBuild(review, definitions);
  const backfills: PlannedBackfill[] = [];
  for (const one of wanted) backfills.push(await costed(house, definitions, one));
  return {
    format: PLAN_FORMAT,
    base: registry.state(),
    definitions: definitionsDigest(definitions),
    ...plan,
    ...review,
    drift: [...review.drift, ...(options.loaded ?? [])],
    backfills,
    rewrites: await rewritesOf(house, review, definitions),
    breaking: review.changes.some(
      ({ change, breaks }) => change !== "refuse" && breaks.some(({ effect }) => effect === "stops"),
    ),
  };
}

async function readersOf(house: PlanningHouse): Promise<Readers> {
  const { registry } = house;
  const store = new ImportanceStore(house.dataDir);
  const fits: FittedService[] = [];
  const models: Readers["models"][number][] = [];
  for (const { definition } of registry.services()) {
    try {
      fits.push(...house.fits(serviceReference(definition)));
    } catch (error) {
      // A damaged fit is refused where it is served; a plan can be made all the same.
      if (!isOnefoldError(error)) throw error;
    }
    for (const { model, importances } of await store.of(serviceId(definition))) {
      models.push({ service: serviceId(definition), model, features: Object.keys(importances) });
    }
  }
  const experiments = registry.experiments().map(({ definition }) => ({
    name: definition.name,
    serves: servedVariants(definition, registry.experimentSteps(definition.name)).map(formatVariant),
  }));
  return { fits, models, aliases: aliasesOf(registry.aliasMoves()), experiments };
}

async function rewritesOf(
  house: PlanningHouse,
  { changes }: PlanReview,
  definitions: readonly Definition[],
): Promise<readonly PlannedRewrite[]> {
  const changed = changes.filter(({ change }) => change === "change").map(({ name }) => name);
  const widened = definitions.flatMap((one) => {
    if ((one.kind !== "stream" && one.kind !== "batch") || !changed.includes(one.name)) return [];
    const { columns } = house.registry.source(one.name).definition;
    const isOther = columns.some(({ type }, i) => formatType(type) !== formatType(one.columns[i]!.type));
    return isOther ? [`events/${one.name}`] : [];
  });
  if (widened.length === 0 || !existsSync(join(house.dataDir, "offline"))) return [];
  return (await house.tables.list())
    .filter(({ table }) => widened.includes(table))
    .map(({ table, rows, bytes, files }) => ({ table, rows, bytes, files }));
}

interface ViewToBuild {
  readonly view: ViewDefinition;
  readonly why: string;
}

/** New views, and drafts that mean something else now. */
function viewsToBuild({ changes }: PlanReview, definitions: readonly Definition[]): ViewToBuild[] {
  return changes.flatMap(({ change, kind, name, details }): ViewToBuild[] => {
    if (kind !== "view") return [];
    const view = definitions.findLast(
      (one): one is ViewDefinition => one.kind === "view" && formatViewName(one) === name,
    )!;
    if (change === "add") return [{ view, why: "it is new" }];
    if (change === "change" && view.version === "dev" && details.length > 0)
      return [{ view, why: "the draft changed" }];
    return [];
  });
}

async function costed(
  house: PlanningHouse,
  definitions: readonly Definition[],
  { view, why }: ViewToBuild,
): Promise<PlannedBackfill> {
  const name = formatViewName(view);
  if (!existsSync(join(house.dataDir, "offline"))) {
    return {
      view: name,
      why,
      cost: null,
      note: "there are no events in this data folder: each server computes it from its own",
    };
  }
  const isKnown = house.registry.sources().some(({ definition }) => definition.name === view.source);
  if (!isKnown) return { view: name, why, cost: null, note: "its source is new, and has no events" };
  try {
    const { version } = view;
    return { view: name, why, cost: await house.backfillCost({ view: view.name, version, definitions }) };
  } catch (error) {
    if (!isOnefoldError(error)) throw error;
    return { view: name, why, cost: null, note: `${error.code}: ${error.message}` };
  }
}
