/** Takes what models report of their features, and says it again. */
import type { Clock } from "../../base/clock.ts";
import { OnefoldError } from "../../base/errors.ts";
import { formatMicros } from "../../base/micros.ts";
import { nearestNames } from "../../base/nearest-names.ts";
import type { ServiceDefinition } from "../../define/definition.ts";
import { serviceId } from "../../define/service-version.ts";
import type { ImportanceStore } from "../../monitor/importance/importance-store.ts";
import type { Registry } from "../../registry/registry.ts";
import type { ImportanceDesk, ImportanceReport } from "../../serve/importance-desk.ts";

export function importanceDesk(store: ImportanceStore, registry: Registry, clock: Clock): ImportanceDesk {
  return {
    report: async (name, report) => {
      const { definition } = registry.service(name);
      const service = serviceId(definition);
      refuseUnknown(definition, report);
      const { version, model, method, importances } = report;
      const stored = { version, model, method, importances, reported_at: formatMicros(clock.now()) };
      await store.add(service, stored);
      return { service, ...stored };
    },
    of: async (name) => {
      const service = serviceId(registry.service(name).definition);
      return (await store.of(service)).map((stored) => ({ service, ...stored }));
    },
  };
}

/** A name that the vector has not is a mistake; what a transformation makes of one feature may bear its own name. */
function refuseUnknown({ name, features, transform = [] }: ServiceDefinition, { importances }: ImportanceReport): void {
  const known = [...new Set([...features.map(({ as }) => as), ...transform.map((one) => one.name)])];
  for (const [feature, value] of Object.entries(importances)) {
    if (!known.includes(feature)) {
      throw new OnefoldError("REQUEST_INVALID", `service ${name} has no feature "${feature}"`, {
        where: `body/importances/${feature}`,
        hint: "give importances by the names that the vector has",
        candidates: nearestNames(feature, known),
      });
    }
    if (!Number.isFinite(value)) {
      throw new OnefoldError("REQUEST_INVALID", `the importance of ${feature} is no finite number`, {
        where: `body/importances/${feature}`,
      });
    }
  }
}
