/**
 * Case e: 8 partitions over 4 workers in one process, on a store in memory: what folding an event costs with few
 * entities and with many. No broker, no network, no Redis.
 *
 * Each worker keeps as many states in memory whatever the number of entities, so that what is measured with many is what
 * a worker does with many: read a state, fold, write it.
 */
import { systemClock } from "../../src/base/clock.ts";
import { FoldLoop } from "../../src/ingest/kafka/fold-loop.ts";
import { planRoutes } from "../../src/ingest/kafka/routes.ts";
import { MemoryOnlineStore } from "../../src/online-store/memory.ts";
import { GeneratedTopic } from "./generated-topic.ts";
import type { StreamRun } from "./run.ts";
import { PARTITIONS, workload } from "./workload.ts";

const WORKERS = 4;
/** Of each worker: fewer than the smallest number of entities, so that most events find theirs in the store. */
const STATES_KEPT = 500;
/** Against the cost with the fewest entities. */
const GROWTH_GOAL = 1.25;

class Simulation {
  readonly #topic: GeneratedTopic;
  readonly #loops: readonly FoldLoop[];
  readonly #store = new MemoryOnlineStore();

  constructor(entities: number) {
    const plans = planRoutes(workload("payments").definitions, "bench");
    const { topic } = plans[0]!.routes[0]!;
    this.#topic = new GeneratedTopic(entities);
    const topics = new Map([[topic, { name: topic, id: "internal", partitionCount: PARTITIONS }]]);
    this.#loops = Array.from({ length: WORKERS }, (_, worker) => {
      const loop = new FoldLoop({
        connection: this.#topic,
        store: this.#store,
        clock: systemClock,
        plans,
        topics,
        statesMax: STATES_KEPT,
      });
      const owned = Array.from({ length: PARTITIONS }, (_each, partition) => ({ topic, partition }));
      loop.own(owned.filter(({ partition }) => partition % WORKERS === worker));
      return loop;
    });
  }

  /** Folds so many events more of each partition; microseconds an event, all workers' together. */
  async fold(eventsAPartition: number): Promise<number> {
    const before = this.#events();
    this.#topic.end += eventsAPartition;
    const wanted = before + eventsAPartition * PARTITIONS;
    const began = performance.now();
    while (this.#events() < wanted) for (const loop of this.#loops) await loop.turn();
    return ((performance.now() - began) * 1000) / (wanted - before);
  }

  #events(): number {
    return this.#loops.reduce((sum, { progress }) => sum + progress.events, 0);
  }
}

export async function entitiesInSimulation(run: StreamRun): Promise<void> {
  const { simulatedEntities, simulatedEvents, rounds } = run.size;
  const simulations: { readonly entities: number; readonly simulation: Simulation; readonly costs: number[] }[] = [];
  for (const entities of simulatedEntities) {
    const simulation = new Simulation(entities);
    await simulation.fold(entities / PARTITIONS);
    simulations.push({ entities, simulation, costs: [] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { simulation, costs } of simulations) costs.push(await simulation.fold(simulatedEvents / PARTITIONS));
  }
  const [fewest, ...more] = simulations;
  const unit = "µs an event";
  run.report({ case: `e-${fewest!.entities}-entities`, unit, better: "lower", rounds: fewest!.costs });
  for (const { entities, costs } of more) {
    run.report({
      case: `e-${entities}-entities`,
      unit,
      better: "lower",
      rounds: costs,
      reference: { name: `${fewest!.entities}-entities`, rounds: fewest!.costs },
      goal: GROWTH_GOAL,
    });
  }
}
