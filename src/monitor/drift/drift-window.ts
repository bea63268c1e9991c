/**
 * What was seen of a service's vectors within an hour: a profile of each feature. Windows of one hour are merged, where
 * several processes serve, and windows of many hours, where a report wants them.
 */
import { type DurationMicros, MICROS_PER_HOUR } from "../../base/micros.ts";
import type { ValueType } from "../../schema/value.ts";
import { mergeProfiles, type Profile, type ProfileBounds, profileKindOf, SKETCH } from "./profile.ts";
import { profileFromJson, profileToJson } from "./profile-json.ts";

export const WINDOW_MICROS: DurationMicros = MICROS_PER_HOUR;

/** A value of a service's vector, as drift knows it. */
export interface FeatureColumn {
  readonly name: string;
  /** `view@version` it comes from. */
  readonly view: string;
  readonly type: ValueType;
}

export interface FeatureProfile extends Omit<FeatureColumn, "type"> {
  /** Its values are int64. */
  readonly isInteger: boolean;
  readonly profile: Profile;
}

export interface DriftWindow {
  readonly service: string;
  /** Version of the fit that its vectors were made with; null where none is fitted. */
  readonly fit: number | null;
  readonly startMicros: number;
  readonly endMicros: number;
  /** Vectors that were looked at. */
  readonly vectors: number;
  readonly features: readonly FeatureProfile[];
}

export function featureProfile({ name, view, type }: FeatureColumn, profile: Profile): FeatureProfile {
  return { name, view, isInteger: type.name === "int64" && profileKindOf(type) === "numeric", profile };
}

/** Of one service; its features are those of any. A feature that changed its kind is the newest one's alone. */
export function mergeWindows(windows: readonly DriftWindow[], bounds: ProfileBounds = SKETCH): DriftWindow {
  const features = new Map<string, FeatureProfile>();
  const inOrder = [...windows].sort((a, b) => a.startMicros - b.startMicros);
  for (const window of inOrder) {
    for (const feature of window.features) {
      const before = features.get(feature.name);
      const isSame = before !== undefined && before.profile.kind === feature.profile.kind;
      const profile = isSame ? mergeProfiles(before.profile, feature.profile, bounds) : feature.profile;
      features.set(feature.name, { ...feature, profile });
    }
  }
  const last = inOrder.at(-1)!;
  return {
    service: last.service,
    fit: last.fit,
    startMicros: inOrder[0]!.startMicros,
    endMicros: Math.max(...inOrder.map(({ endMicros }) => endMicros)),
    vectors: inOrder.reduce((sum, { vectors }) => sum + vectors, 0),
    features: [...features.values()],
  };
}

export function windowToJson({ service, fit, startMicros, endMicros, vectors, features }: DriftWindow): object {
  return {
    format: 1,
    service,
    fit,
    start_micros: startMicros,
    end_micros: endMicros,
    vectors,
    features: features.map(({ name, view, isInteger, profile }) => ({
      name,
      view,
      is_integer: isInteger,
      profile: profileToJson(profile),
    })),
  };
}

/** Throws a plain `Error` of what was not written by this. */
export function windowFromJson(json: unknown): DriftWindow {
  const window = json as {
    readonly format?: unknown;
    readonly service: string;
    readonly fit: number | null;
    readonly start_micros: number;
    readonly end_micros: number;
    readonly vectors: number;
    readonly features: readonly {
      readonly name: string;
      readonly view: string;
      readonly is_integer: boolean;
      readonly profile: unknown;
    }[];
  };
  if (window?.format !== 1) throw new Error(`a window's format is 1, not ${String(window?.format)}`);
  const { service, fit, start_micros: startMicros, end_micros: endMicros, vectors } = window;
  const features = window.features.map(({ name, view, is_integer: isInteger, profile }) => ({
    name,
    view,
    isInteger,
    profile: profileFromJson(profile),
  }));
  // JSON has no NaN for times that are not known.
  return {
    service,
    fit,
    startMicros: startMicros ?? Number.NaN,
    endMicros: endMicros ?? Number.NaN,
    vectors,
    features,
  };
}
