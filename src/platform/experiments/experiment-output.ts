/** What of experiments the command line shows. */
export type { ComparedFeature, LatencySummary } from "../../monitor/shadow/shadow-tally.ts";
export type { ShownComparison } from "./shadow-counts.ts";
export type { ExperimentDesk, ShownComparisons, ShownExperiment, ShownStep } from "../../serve/experiment-desk.ts";
