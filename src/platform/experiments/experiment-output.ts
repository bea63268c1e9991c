/** What of experiments the command line shows. */
export type { ExperimentDesk, ShownExperiment, ShownStep } from "../../serve/experiment-desk.ts";
