/**
 * The audit of stored states: every view of a stream, folded again from all its events and compared byte for byte.
 */
import { formatViewName } from "../define/definition.ts";
import { auditStates, type StateAuditResult } from "../training/audit-states.ts";
import type { TrainingPorts } from "../training/ports.ts";
import type { AuditOptions } from "./platform-options.ts";
import type { RuntimeContext } from "./runtime-context.ts";
import type { SourceRuntimes } from "./source-runtimes.ts";

/** By `view@version`. */
export async function auditAllStates(
  context: RuntimeContext,
  owned: { readonly sources: SourceRuntimes },
  ports: TrainingPorts,
  options: AuditOptions,
): Promise<Readonly<Record<string, StateAuditResult>>> {
  const { registry, catalog } = context;
  const states: Record<string, StateAuditResult> = {};
  for (const { definition } of registry.views()) {
    if (!definition.online && !definition.offline) continue;
    const view = owned.sources.view(catalog.view(definition.name, definition.version));
    const name = formatViewName(definition);
    states[name] = await auditStates({
      ports,
      view: definition.name,
      version: definition.version,
      states: () => view.storedStates(),
      epoch: view.epoch,
      position: () => view.storedPosition(),
      ...(options.mismatchesKept === undefined ? {} : { mismatchesKept: options.mismatchesKept }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      onProgress: (done) => options.onProgress?.({ phase: `states of ${name}`, done, total: null }),
    });
  }
  return states;
}
