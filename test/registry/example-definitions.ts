/** A small set of definitions that the registry's tests start from and change. */
import type { Definition, ServiceDefinition, SourceDefinition, ViewDefinition } from "../../src/define/definition.ts";
import { count, mean } from "../../src/define/aggregation-builder.ts";
import { t } from "../../src/define/column-type.ts";
import { entity } from "../../src/define/entity.ts";
import { col } from "../../src/define/expression-builder.ts";
import { service } from "../../src/define/service.ts";
import { stream } from "../../src/define/source.ts";
import { view } from "../../src/define/view.ts";

export const user = entity("user", { user: t.string() }, { owner: "growth" });
export const payments = stream("payments", {
  columns: { user: t.string(), at: t.timestamp(), amount: t.float64() },
  eventTime: "at",
  derive: { big: col("amount").gt(100) },
});
export const spend = view("spend", {
  entity: user,
  source: payments,
  owner: "risk",
  tags: ["money"],
  features: {
    payments_1h: count().over("1h"),
    mean_amount_1h: mean("amount").over("1h").where(col("big")).tags("core"),
  },
});
export const model = service("model", { features: [spend] });
export const all: readonly Definition[] = [model, spend, payments, user];

export function changedView(parts: Partial<ViewDefinition>): ViewDefinition {
  return { ...spend, ...parts };
}

export function changedSource(parts: object): SourceDefinition {
  return { ...payments, ...parts } as SourceDefinition;
}

export function changedService(parts: Partial<ServiceDefinition>): ServiceDefinition {
  return { ...model, ...parts };
}
