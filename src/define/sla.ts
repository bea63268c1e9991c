/**
 * What a source and a view promise of their freshness, and what a view serves while that is broken.
 */
import type { SourceDefinition, SourceSla, ViewDefinition, ViewSla } from "./definition.ts";
import { duration } from "./duration.ts";
import type { DurationText } from "./typing.ts";

export interface SourceSlaOptions {
  /** So long after its last event a source is silent. */
  readonly silence: DurationText;
}

export interface ViewSlaOptions {
  /** How long an event may be known and not folded into the view. */
  readonly pipelineAge?: DurationText;
  /** How old an entity's last event may be, and for which share of the entities that must hold; all, where none is given. */
  readonly entityAge?: DurationText | { readonly within: DurationText; readonly atLeast: number };
  /**
   * What is served of the view while its pipeline age, or the silence of its source, is beyond what is promised: null, the
   * features' defaults, or the values as they are with a flag. Without one, the values as they are.
   */
  readonly fallback?: "null" | "default" | "flag";
}

export const FALLBACKS: readonly string[] = ["null", "default", "flag"];

export function sourceSla(given: SourceSlaOptions | undefined, problems: string[]): SourceSla | undefined {
  if (given === undefined) return undefined;
  const { silence, ...others } = given;
  problems.push(...unknownOptions(others, "silence"));
  const silenceMicros = duration("sla: silence", silence, problems);
  if (silence === undefined) problems.push("sla: it promises no silence");
  return silenceMicros === undefined ? undefined : { silenceMicros };
}

export function viewSla(given: ViewSlaOptions | undefined, problems: string[]): ViewSla | undefined {
  if (given === undefined) return undefined;
  const { pipelineAge, entityAge, fallback, ...others } = given;
  problems.push(...unknownOptions(others, "pipelineAge, entityAge and fallback"));
  const pipelineAgeMicros = duration("sla: pipelineAge", pipelineAge, problems);
  const { within, atLeast = 1 } =
    typeof entityAge === "object" ? entityAge : { within: entityAge as DurationText | undefined };
  const withinMicros = duration("sla: entityAge", within, problems);
  return {
    ...(pipelineAgeMicros === undefined ? {} : { pipelineAgeMicros }),
    ...(withinMicros === undefined ? {} : { entityAge: { withinMicros, atLeast } }),
    ...(fallback === undefined ? {} : { fallback }),
  };
}

function unknownOptions(others: object, known: string): string[] {
  return Object.keys(others).map((name) => `sla has no option "${name}": it takes ${known}`);
}

/** A sentence for each contradiction. */
export function sourceSlaProblems({ sla }: SourceDefinition): string[] {
  return sla === undefined ? [] : positive("sla: silence", sla.silenceMicros);
}

export function viewSlaProblems({ sla }: ViewDefinition, source: SourceDefinition): string[] {
  if (sla === undefined) return [];
  const { pipelineAgeMicros, entityAge, fallback } = sla;
  const isShare = entityAge === undefined || (entityAge.atLeast > 0 && entityAge.atLeast <= 1);
  const isFallback = fallback === undefined || FALLBACKS.includes(fallback);
  return [
    ...(pipelineAgeMicros === undefined ? [] : positive("sla: pipelineAge", pipelineAgeMicros)),
    ...(entityAge === undefined ? [] : positive("sla: entityAge", entityAge.withinMicros)),
    ...(isShare ? [] : [`sla: entityAge: atLeast is ${entityAge.atLeast}, not a share above 0 and up to 1`]),
    ...(isFallback ? [] : [`sla: fallback is ${JSON.stringify(fallback)}: it is "null", "default" or "flag"`]),
    ...(fallback !== undefined && pipelineAgeMicros === undefined && source.sla === undefined
      ? [
          `sla: fallback stands in while the pipeline age or the source's silence is beyond what is promised: declare pipelineAge, or sla: { silence } on source "${source.name}"; by an entity's own age values are withheld with ttl`,
        ]
      : []),
  ];
}

function positive(what: string, micros: number): string[] {
  return Number.isSafeInteger(micros) && micros > 0 ? [] : [`${what} is ${micros} microseconds, not above 0`];
}
