/**
 * `FDESCRIBE`: what there is to ask for, and what a service reads and answers.
 */
import { formatVariant } from "../../define/experiment-definition.ts";
import type { ServiceDefinition } from "../../define/definition.ts";
import { serviceId, serviceReference } from "../../define/service-version.ts";
import type { Registry } from "../../registry/registry.ts";
import { describeType, type ValueType } from "../../schema/value.ts";
import { type ExperimentPlan, isExperiment, type NamedPlan } from "../experiment-plan.ts";
import type { VectorPlan } from "../vector-plan.ts";
import { decodeText } from "./byte-string.ts";
import type { Command } from "./command.ts";
import { mapReply, type Reply } from "./reply-writer.ts";
import { isPackable } from "./vector-reply.ts";
import { wrongSyntax } from "./wrong-usage.ts";

const SYNTAX = "[service]";

export const describeCommand: Command = {
  name: "fdescribe",
  arity: -1,
  syntax: SYNTAX,
  summary: "A service's features, entities and request data; without a name, all services and experiments",
  run: (args, { door, out }) => {
    if (args.length > 2) throw wrongSyntax("fdescribe", SYNTAX);
    const { reader, ports } = door;
    const { registry } = ports;
    if (args.length === 1) {
      const services = registry.services().map(({ definition }) => nameMeaning(definition, registry));
      out.reply([...services, ...registry.experiments().map(({ definition }) => definition.name)]);
      return;
    }
    const named = reader.named(decodeText(args[1]!, "service"));
    out.reply(isExperiment(named) ? describeExperiment(named) : describePlan(named));
  },
};

/** The id, where the service is what that means as a name. */
function nameMeaning(definition: ServiceDefinition, registry: Registry): string {
  const id = serviceId(definition);
  return serviceId(registry.service(id).definition) === id ? id : serviceReference(definition);
}

function typeReply(of: ValueType): Record<string, Reply> {
  const { type, wide } = describeType(of);
  return { type, ...(wide === undefined ? {} : { wide: flag(wide) }) };
}

function flag(is: boolean): Reply {
  return Number(is);
}

function describePlan(plan: VectorPlan): Reply {
  return mapReply({
    service: plan.service,
    features: featuresReply(plan),
    ...inputsReply(plan),
    packable: flag(plan.outputs.every(({ type }) => isPackable(type))),
  });
}

function describeExperiment(plan: ExperimentPlan): Reply {
  const { variants, unit } = plan.experiment;
  return mapReply({
    experiment: plan.service,
    unit: mapReply({ from: unit.from, name: unit.name }),
    variants: variants.map((variant, place) =>
      mapReply({ variant: formatVariant(variant), features: featuresReply(plan.variantPlan(place)) }),
    ),
    ...inputsReply(plan),
  });
}

function featuresReply({ outputs }: VectorPlan): Reply {
  return outputs.map(({ name, type, view }) => mapReply({ name, ...typeReply(type), view }));
}

function inputsReply({ entities, request }: NamedPlan): Record<"entities" | "request", Reply> {
  return {
    entities: entities.map(({ name, keys }) =>
      mapReply({ name, keys: keys.map((key) => mapReply({ name: key.name, ...typeReply(key.type) })) }),
    ),
    request: request.map(({ name, type, nullable }) =>
      mapReply({ name, ...typeReply(type), nullable: flag(nullable) }),
    ),
  };
}
