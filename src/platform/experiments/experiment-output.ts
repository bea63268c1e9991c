/** What of experiments the command line shows. */
export type { ComparedFeature, LatencySummary, ShownComparison } from "../../monitor/shadow/shadow-comparison.ts";
export type { ExperimentDesk, ShownComparisons, ShownExperiment, ShownStep } from "../../serve/experiment-desk.ts";
