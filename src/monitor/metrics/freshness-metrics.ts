/**
 * Metrics of freshness, asked at each scrape: the three ages, whether what is promised of them holds, and what there is
 * of each view.
 */
import type { FreshnessKind, Judged, ViewFacts } from "../freshness/judge.ts";
import { AGE_SECONDS, entitiesByAge } from "../freshness/report.ts";
import type { FreshnessGauges, MonitoredHouse } from "./monitored-house.ts";
import type { Asked, Instruments } from "./prometheus.ts";

type House = Pick<MonitoredHouse, "freshness">;

export function addFreshnessMetrics(make: Instruments, house: House): void {
  const ofKind = (name: string, help: string, kind: FreshnessKind, label: "view" | "source"): void =>
    make.askedGauge(name, help, [label], () =>
      judgedOf(house)
        .filter((one) => one.kind === kind)
        .map((one) => [{ [label]: one[label]! }, one.value] as const),
    );
  const pipeline = "Since the oldest event became known that is not folded into the view, 0 where all are";
  ofKind("onefold_pipeline_age_seconds", pipeline, "pipeline-age", "view");
  ofKind("onefold_source_silence_seconds", "Since the source's last event became known", "source-silence", "source");
  const stale = "Share of a view's entities whose last event is older than the view promises";
  ofKind("onefold_stale_entities_ratio", stale, "entity-age", "view");
  const broken = "1 where what is promised of freshness is broken, 0 where it holds; view is empty of a source";
  make.askedGauge("onefold_freshness_sla_broken", broken, ["kind", "source", "view"], () =>
    judgedOf(house)
      .filter(({ threshold }) => threshold !== null)
      .map(({ kind, source, view, isBroken }) => [{ kind, source, view: view ?? "" }, Number(isBroken)] as const),
  );
  addViewTotals(make, house);
}

function addViewTotals(make: Instruments, house: House): void {
  const perView = (value: (one: NonNullable<ViewFacts["entities"]>) => number): Asked =>
    viewsOf(house).map(({ view, entities }) => [{ view }, value(entities)] as const);
  make.askedGauge("onefold_view_entities", "Entities that a view has states of", ["view"], () =>
    perView(({ entities }) => entities),
  );
  make.askedGauge("onefold_view_state_bytes", "Encoded states of a view", ["view"], () =>
    perView(({ bytes }) => bytes),
  );
  const byAge = "Entities whose last event is at most up_to seconds old";
  make.askedGauge("onefold_entities_by_age", byAge, ["view", "up_to"], () => {
    const gauges = house.freshness();
    if (gauges === null) return [];
    return viewsOf(house, gauges).flatMap(({ view, entities }) =>
      entitiesByAge(entities, gauges.nowMicros).map(
        (one, i) => [{ view, up_to: String(AGE_SECONDS[i] ?? "+Inf") }, one.entities] as const,
      ),
    );
  });
}

function judgedOf(house: House): readonly Judged[] {
  return house.freshness()?.judged ?? [];
}

function viewsOf(
  house: House,
  gauges: FreshnessGauges | null = house.freshness(),
): (ViewFacts & { readonly entities: NonNullable<ViewFacts["entities"]> })[] {
  return (gauges?.facts.views ?? []).flatMap((one) =>
    one.entities === null ? [] : [{ ...one, entities: one.entities }],
  );
}
