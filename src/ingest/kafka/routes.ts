/**
 * Which events go where: for each source on Kafka, one internal topic for each way in which its views are keyed, and
 * one for the ids of events that have one (`claim-fold.ts`).
 *
 *     payments (topic of the source) ─┬─▶ onefold.payments.ids              ─▶ which of them have their id
 *                                     ├─▶ onefold.payments.by.user          ─▶ views keyed by user
 *                                     └─▶ onefold.payments.by.country.shop  ─▶ views keyed by country and shop
 *
 * All events of one entity stand in one partition of such a topic, in the order in which they were routed. Its
 * number of partitions is fixed when it is made: another number would send an entity's events elsewhere.
 */
import { createHash } from "node:crypto";
import { OnefoldError } from "../../base/errors.ts";
import {
  type Definition,
  type EntityDefinition,
  formatViewName,
  type StreamDefinition,
  type ViewDefinition,
} from "../../define/definition.ts";
import { compileViewFold } from "../../fold/compile.ts";
import type { ViewFold } from "../../fold/view-fold.ts";
import { fingerprint } from "../../registry/fingerprint.ts";

export interface RoutedView {
  /** `name@version` */
  readonly name: string;
  /** Names what is folded, in positions and spaces: of a draft, each thing that it has been has its own. */
  readonly foldName: string;
  readonly definition: ViewDefinition;
  readonly entity: EntityDefinition;
  readonly fold: ViewFold;
}

/** One topic that is folded. */
export interface Route {
  readonly topic: string;
  readonly source: StreamDefinition;
  /** Key columns: the same for all views of the route. */
  readonly key: readonly string[];
  readonly views: readonly RoutedView[];
  /** The source's own topic: nothing is routed. */
  readonly isDirect: boolean;
  /** Of a source's routes, the one that speaks for it where something is to be said once. */
  readonly isFirst: boolean;
}

export interface SourceRoutes {
  readonly source: StreamDefinition;
  readonly topic: string;
  readonly routes: readonly Route[];
  /** Where ids are claimed, keyed by the id; null where events have none, or are not routed. */
  readonly claims: Route | null;
  readonly deadLetterTopic: string;
}

/**
 * Sources with a Kafka topic and at least one view that is folded: the numbered ones, and drafts where they are asked
 * for. Throws `DEFINITION_INVALID`.
 */
export function planRoutes(definitions: readonly Definition[], prefix: string, drafts = false): SourceRoutes[] {
  const entities = new Map(definitions.flatMap((one) => (one.kind === "entity" ? [[one.name, one] as const] : [])));
  return definitions.flatMap((source): SourceRoutes[] => {
    if (source.kind !== "stream" || source.kafka === undefined) return [];
    const views = definitions.flatMap((view): RoutedView[] => {
      if (view.kind !== "view" || view.source !== source.name || (view.version === "dev" && !drafts)) return [];
      const entity = entities.get(view.entity);
      if (entity === undefined) {
        throw new OnefoldError(
          "DEFINITION_INVALID",
          `view ${view.name} is of entity ${view.entity}, which is not defined`,
        );
      }
      const fold: ViewFold = compileViewFold(view, source, entity);
      const name = formatViewName(view);
      // A draft changes its meaning under its name.
      const foldName = view.version === "dev" ? `${name}#${fingerprint(view).slice(0, 12)}` : name;
      return [{ name, foldName, definition: view, entity, fold }];
    });
    if (views.length === 0) return [];
    const { topic, direct } = source.kafka;
    const keys = new Map(views.map(({ definition: { key } }) => [JSON.stringify(key), key]));
    if (direct === true && keys.size > 1) {
      throw new OnefoldError(
        "DEFINITION_INVALID",
        `topic ${topic} cannot be folded directly: it has one key, and the views on ${source.name} have ${keys.size}`,
        { where: source.name, hint: 'take "direct" away: events are then routed to a topic for each key' },
      );
    }
    const routes = Array.from(keys, ([text, key], i): Route => ({
      topic: direct === true ? topic : internalTopic(prefix, source.name, key),
      source,
      key,
      views: views.filter(({ definition }) => JSON.stringify(definition.key) === text),
      isDirect: direct === true,
      isFirst: i === 0,
    }));
    const claims: Route | null =
      source.id === undefined || direct === true || source.kafka.ids === "entity"
        ? null
        : {
            topic: `${prefix}.${source.name}.ids`,
            source,
            key: [source.id],
            views: [],
            isDirect: false,
            isFirst: false,
          };
    return [{ source, topic, routes, claims, deadLetterTopic: `${prefix}.${source.name}.dead-letters` }];
  });
}

/** `onefold.payments.by.user`; columns whose names a topic's cannot hold are named by their hash. */
export function internalTopic(prefix: string, source: string, key: readonly string[]): string {
  const isPlain = key.every((column) => /^[A-Za-z0-9_-]{1,64}$/.test(column)) && key.length <= 2;
  const name = isPlain ? key.join(".") : createHash("sha256").update(JSON.stringify(key)).digest("hex").slice(0, 24);
  return `${prefix}.${source}.by.${name}`;
}
