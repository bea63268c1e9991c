/**
 * What a server does for the commands of its machine (`owner-desk.ts`): what they would do themselves if they owned the
 * data folder.
 */
import type { ForgetOptions } from "../platform/forget/forget-entity.ts";
import type { ForgetPreviewOptions } from "../platform/forget/preview-entity.ts";
import { resolve } from "node:path";
import { OnefoldError } from "../base/errors.ts";
import type { Platform } from "../platform.ts";
import { sideToJson } from "../platform/monitoring/drift-output.ts";
import type { MaterializeOptions } from "../platform/materialized-view.ts";
import type { FreshnessOptions } from "../platform/monitoring/freshness-watch.ts";
import type { BackfilledView } from "../platform/platform-options.ts";
import { askMonitoring } from "../platform/monitoring/alert-answers.ts";
import { loadedProblems } from "../registry/plan-review.ts";
import type { ApplyConditions, PlannedChange } from "../registry/registry.ts";
import { refuseOtherDefinitions } from "./planned-definitions.ts";
import type { MoveOptions, RetireOptions } from "../platform/version-desk.ts";
import type { DeskWork } from "./owner-desk.ts";
import type { OnProgress } from "./progress.ts";

export interface AskedApply extends ApplyConditions {
  /** The file, absolute. */
  readonly definitions: string;
  /** Of the definitions that the asking process has read from it, and planned. */
  readonly digest: string;
}

/** `file`: where the server has its own definitions from, null for none. */
export function servedWorks(platform: Platform, file: string | null): Readonly<Record<string, DeskWork>> {
  return {
    apply: async ({ definitions: asked, digest, ...conditions }: AskedApply, onProgress: OnProgress) => {
      // Its workers, and itself when it is started again, take the code of views from the one file.
      if (file !== null && resolve(file) !== asked) {
        throw new OnefoldError("REQUEST_INVALID", `the server's definitions are those of ${resolve(file)}`, {
          where: asked,
          hint: "apply that file, or start the server with --definitions and this one",
        });
      }
      const { loadDefinitions } = await import("./load-definitions.ts");
      const { definitions } = await loadDefinitions(asked);
      refuseOtherDefinitions(definitions, digest, asked);
      return platform.apply(definitions, { ...conditions, onProgress });
    },
    loaded: async () => loadedProblems(platform.registry),
    drop: async ({ drafts }: { drafts: readonly string[] }) => {
      const changes: PlannedChange[] = [];
      for (const draft of drafts) changes.push(await platform.dropDraft(draft));
      return changes;
    },
    promote: ({ target, options }: { target: string; options: MoveOptions }) =>
      platform.versions.promote(target, options),
    rollback: ({ name, options }: { name: string; options: MoveOptions }) => platform.versions.rollback(name, options),
    retire: ({ target, options }: { target: string; options: RetireOptions }) =>
      platform.versions.retire(target, options),
    correct: ({ source, corrections }: { source: string; corrections: Parameters<Platform["correct"]>[1] }) =>
      platform.correct(source, corrections),
    forget: ({ entity, key, ...options }: { entity: string; key: readonly string[] } & ForgetOptions) =>
      platform.forget(entity, key, options),
    previewForgetting: ({
      entity,
      key,
      ...options
    }: { entity: string; key: readonly string[] } & ForgetPreviewOptions) =>
      platform.previewForgetting(entity, key, options),
    chooseDrift: async ({ service, source }: { service: string; source: string | null }) =>
      source === null ? platform.drift.forgetChosen(service) : sideToJson(await platform.drift.choose(service, source)),
    alerts: ({ call, given }: { call: string; given: readonly unknown[] }) =>
      askMonitoring(platform.monitoring, { desk: "alerts", call, given }),
    experiments: ({ call, given }: { call: string; given: readonly unknown[] }) =>
      askMonitoring(platform.monitoring, { desk: "experiments", call, given }),
    letters: ({ call, given }: { call: string; given: readonly unknown[] }) =>
      askMonitoring(platform.monitoring, { desk: "letters", call, given }),
    run: ({ source, from }: { source: string; from?: string }, onProgress: OnProgress, signal: AbortSignal) =>
      platform.runBatch(source, {
        ...(from === undefined ? {} : { from }),
        onProgress: (done) => onProgress({ phase: `rows of ${source}`, done, total: null }),
        signal,
      }),
    freshness: (asked: FreshnessOptions) => platform.freshness(asked),
    materialize: (asked: MaterializeOptions, onProgress: OnProgress, signal: AbortSignal) =>
      platform.materialize({ ...asked, onProgress, signal }),
    backfill: ({ view }: { view: BackfilledView }, onProgress: OnProgress, signal: AbortSignal) =>
      platform.backfill(view, { onProgress, signal }),
  };
}
