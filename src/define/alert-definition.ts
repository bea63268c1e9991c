/**
 * Alerts, retraining and where their notices go, as plain data. No secret is in it, only names of environment variables.
 *
 * What has a name of the user's choice stands in lists, so that none is taken for a member with a meaning of its own.
 */
import type { DurationMicros } from "../base/micros.ts";

/** What can be watched; "signal-source" is a part of monitoring itself that fails or does not answer. */
export type WatchedKind =
  | "pipeline-age"
  | "source-silence"
  | "entity-age"
  | "expectation"
  | "drift"
  | "missing-drift"
  | "folded-drift"
  | "folded-missing-drift"
  | "skew"
  | "signal-source";

export type Severity = "info" | "warning" | "critical";

interface Named {
  readonly name: string;
  readonly description?: string;
  readonly owner?: string;
  readonly tags?: readonly string[];
  readonly definedAt?: { readonly file: string; readonly line: number; readonly column: number };
}

/** Which signals a rule is about: those that match each member that is there. Empty is all. */
export interface Watched {
  readonly kinds: readonly WatchedKind[];
  readonly measures?: readonly string[];
  readonly sources?: readonly string[];
  /** `view@version`. */
  readonly views?: readonly string[];
  readonly features?: readonly string[];
  /** Of what the services read: `name@2` in that version, `name` in all of them. */
  readonly services?: readonly string[];
  readonly expectations?: readonly string[];
}

export interface RuleShape extends Named {
  readonly watches: Watched;
  /** In place of the signal's own threshold: beyond is above it, or below it. */
  readonly bound?: { readonly side: "above" | "below"; readonly value: number };
  /** Beyond for so long without a break. 0: at once. */
  readonly forMicros: DurationMicros;
  /** Beyond in so many windows in a row that do not overlap. */
  readonly windows: number;
  /** Signals over fewer values are passed over. */
  readonly samplesMin: number;
  /** Share of false ones among the features that are found significant together (Benjamini-Hochberg). */
  readonly falseDiscoveryRate: number;
  /** Goes on firing until it was well for so long. */
  readonly keepFiringMicros: DurationMicros;
  /** From one notice that it fires to the next, or from one training set to the next. */
  readonly cooldownMicros: DurationMicros;
  /** Absent where it is judged. */
  readonly isOff?: true;
  /** Names of destinations. */
  readonly to: readonly string[];
}

export interface AlertDefinition extends RuleShape {
  readonly kind: "alert";
  readonly severity: Severity;
  /** While it fires it is told of again so long after it was told of last; absent: told of once. */
  readonly repeatMicros?: DurationMicros;
}

/** Where the label rows of a fresh training set come from. */
export type RetrainLabels =
  /** A file in the server's folder of label files. */
  | { readonly kind: "file"; readonly path: string }
  /** Each entity of the service at every tick, of the last `rangeMicros`. */
  | {
      readonly kind: "ticks";
      readonly everyMicros: DurationMicros;
      readonly rangeMicros: DurationMicros;
      /** A file of entities in the server's folder of label files; absent, all that are known. */
      readonly entitiesPath?: string;
    };

export interface RetrainDefinition extends RuleShape {
  readonly kind: "retrain";
  readonly service: string;
  readonly labels: RetrainLabels;
  /** Whether a label sees an event known at its very time. */
  readonly boundary: "inclusive" | "exclusive";
}

interface DestinationShape extends Named {
  /** Of one attempt. */
  readonly timeoutMicros: DurationMicros;
  /** What could not be delivered for so long becomes a dead letter. */
  readonly giveUpMicros: DurationMicros;
}

export interface WebhookDefinition extends DestinationShape {
  readonly kind: "webhook";
  /** Absolute, http or https, or the environment variable that holds it. */
  readonly url: { readonly value: string } | { readonly env: string };
  /** The environment variable that holds the secret that bodies are signed with. */
  readonly secretEnv?: string;
  readonly template: "json" | "slack";
}

export interface CommandDefinition extends DestinationShape {
  readonly kind: "command";
  /** Program and arguments; never a shell. */
  readonly run: readonly string[];
}

export type DestinationDefinition = WebhookDefinition | CommandDefinition;
export type RuleDefinition = AlertDefinition | RetrainDefinition;
export type MonitoringDefinition = RuleDefinition | DestinationDefinition;
