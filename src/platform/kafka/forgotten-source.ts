/**
 * A source on Kafka as an entity is forgotten in it: which topics hold its events, by what its views are keyed, and which
 * records are the entity's.
 */
import { OnefoldError } from "../../base/errors.ts";
import type { StreamDefinition, ViewDefinition } from "../../define/definition.ts";
import { keyFromStored } from "../../fold/derive.ts";
import type { KafkaRecord } from "../../ingest/kafka/records.ts";
import { internalTopic } from "../../ingest/kafka/routes.ts";
import type { Registry } from "../../registry/registry.ts";
import { encodeEntityKey, type EntityKey } from "../../schema/entity-key.ts";
import { parseJsonText } from "../../schema/json-text.ts";
import type { Value } from "../../schema/value.ts";
import { sharedEvents } from "../forget/forget-entity.ts";
import { storedRow } from "../forget/forget-source.ts";

/** One way in which views of an entity are keyed. */
export interface Keying {
  readonly entity: string;
  readonly columns: readonly string[];
  readonly derived: ReturnType<typeof keyFromStored>;
}

export interface ForgottenSource {
  readonly source: StreamDefinition;
  /** Of the entity. */
  readonly own: readonly Keying[];
  /** Of all views on the source. */
  readonly all: readonly Keying[];
  /** Whether views of others, or by another key, are folded from its events. */
  readonly isShared: boolean;
  /** Registered views on the source, but for drafts. */
  readonly views: readonly ViewDefinition[];
  /** Topics that are folded, with their key columns. */
  readonly folded: ReadonlyMap<string, readonly string[]>;
  /** Of claims of ids; null where there are none. */
  readonly claims: string | null;
  readonly deadLetters: string;
}

/** Throws `FORGET_SHARED`, `REQUEST_INVALID` for a topic that is folded directly, `ENTITY_UNKNOWN`. */
export function sourcesOnKafka(
  registry: Registry,
  entity: string,
  prefix: string,
  isShared: boolean,
): readonly ForgottenSource[] {
  registry.entity(entity);
  const all = registry.views().map(({ definition }) => definition);
  const names = new Set(all.filter((view) => view.entity === entity).map(({ source }) => source));
  return [...names].flatMap((name): ForgottenSource[] => {
    const source = registry.source(name).definition;
    if (source.kind !== "stream" || source.kafka === undefined) return [];
    if (source.kafka.direct === true) throw direct(source);
    const views = all.filter((view) => view.source === name);
    const keyings = keyingsOf(registry, source, views);
    const others = views.filter((view) => view.entity !== entity);
    const sharesWith = others.length > 0 ? others : keyings.length > 1 ? views : [];
    if (sharesWith.length > 0 && !isShared) throw sharedEvents(entity, name, sharesWith);
    const numbered = views.filter(({ version }) => version !== "dev");
    const hasClaims = source.id !== undefined && source.kafka.ids !== "entity";
    return [
      {
        source,
        own: keyings.filter((keying) => keying.entity === entity),
        all: keyings,
        isShared: sharesWith.length > 0,
        views: numbered,
        folded: new Map(numbered.map(({ key }) => [internalTopic(prefix, name, key), key])),
        claims: hasClaims ? `${prefix}.${name}.ids` : null,
        deadLetters: `${prefix}.${name}.dead-letters`,
      },
    ];
  });
}

function keyingsOf(registry: Registry, source: StreamDefinition, views: readonly ViewDefinition[]): Keying[] {
  const keyings = new Map<string, Keying>();
  const columns = [...source.columns, ...source.derived].map(({ name }) => name);
  for (const { entity, key } of views) {
    const types = registry.entity(entity).definition.keys.map(({ type }) => type);
    const places = key.map((name) => columns.indexOf(name));
    const keyOf = (row: readonly Value[]): EntityKey =>
      encodeEntityKey(
        places.map((place) => row[place] ?? null),
        types,
      );
    const derived = keyFromStored(source, key, { keyOf });
    keyings.set(JSON.stringify([entity, key]), { entity, columns: key, derived });
  }
  return [...keyings.values()];
}

export function isSameKey(a: readonly string[], b: readonly string[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Of an event in a topic that is folded: the key that it has there. Null where it has none, or the topic is folded no more. */
export function keyIn(
  { source, all, folded }: ForgottenSource,
  topic: string,
  { value }: KafkaRecord,
): EntityKey | null {
  const columns = folded.get(topic);
  const keying = all.find((each) => columns !== undefined && isSameKey(each.columns, columns));
  if (keying === undefined || value === null) return null;
  return keying.derived.keyOf(storedRow(source, parseJsonText(value.toString("utf8"))));
}

/** Whether a record's value is an event of the entity; what cannot be read as a row of the source is nobody's. */
export function isOfEntity({ source, own }: ForgottenSource, key: EntityKey): (record: KafkaRecord) => boolean {
  return ({ value }) => {
    if (value === null || value.length === 0) return false;
    let payload: unknown;
    try {
      payload = parseJsonText(value.toString("utf8"));
    } catch {
      return false;
    }
    return own.some(({ derived }) => derived.keyOf(storedRow(source, payload)) === key);
  };
}

/** Of a row of the source. */
export function idOf({ source }: ForgottenSource, { value }: KafkaRecord): string | null {
  if (source.id === undefined || value === null) return null;
  try {
    const payload = parseJsonText(value.toString("utf8")) as Readonly<Record<string, unknown>>;
    const id = storedRow(source, payload)[source.columns.findIndex(({ name }) => name === source.id)] ?? null;
    return id === null ? null : String(id);
  } catch {
    return null;
  }
}

function direct({ name, kafka }: StreamDefinition): OnefoldError {
  return new OnefoldError("REQUEST_INVALID", `topic ${kafka!.topic} is folded directly, and is yours`, {
    where: name,
    hint: 'nothing is taken out of a topic of yours; take "direct" away: events are then routed to topics in which they can be forgotten',
  });
}
