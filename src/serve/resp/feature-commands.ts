/**
 * Commands that read feature vectors of a service, and the one that describes what a service reads.
 *
 * Asked for by an experiment's name, values stand behind the version that was served, as two elements of an array.
 *
 * A key argument is the canonical text of one entity's key, as in a URL; there is one for each entity of the
 * service, in the order that `FDESCRIBE` tells.
 */
import { setImmediate } from "node:timers/promises";
import { OnefoldError } from "../../base/errors.ts";
import { formatVariant } from "../../define/experiment-definition.ts";
import type { ServiceDefinition } from "../../define/definition.ts";
import { serviceId, serviceReference } from "../../define/service-version.ts";
import type { Registry } from "../../registry/registry.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import { parseJsonText } from "../../schema/json-text.ts";
import { formatType, type Row } from "../../schema/value.ts";
import { requestRow } from "../../vector/request-row.ts";
import { entityKeyFromText } from "../entity-input.ts";
import {
  chosenOf,
  type ChosenVector,
  type ExperimentPlan,
  isExperiment,
  type NamedPlan,
  type ServedExposure,
} from "../experiment-plan.ts";
import type { ReadOptions } from "../feature-vector.ts";
import { askedOf } from "../kept-elements.ts";
import type { FetchedStates } from "../ports.ts";
import type { FeatureVector } from "../vector-buffer.ts";
import { answerFeatures, answerMetadata, type AnswerOptions, isPlain } from "../vector-answer.ts";
import { BATCH_MAX, VECTORS_PER_TURN } from "../vector-batch.ts";
import type { VectorPlan } from "../vector-plan.ts";
import { decodeText } from "./byte-string.ts";
import { askedOnes, settledEach } from "./asked-vectors.ts";
import type { Call, Command } from "./command.ts";
import { CommandError } from "./error-reply.ts";
import { mapReply, type Reply, type ReplyWriter } from "./reply-writer.ts";
import { writeVector, isPackable, requirePackable, writePackedVector } from "./vector-reply.ts";

export const featureCommands: readonly Command[] = [
  oneVector({
    name: "fget",
    options: "[CONTEXT json]",
    summary: "A service's values for one set of entities, in the service's order",
    ask: (args, call) => askedOne(namedOf(args[1]!, call), args, NO_OPTIONS),
    write: ({ plan, exposure }, vector, out) => {
      writeVariant(exposure, out);
      writeVector(plan, vector, out);
    },
  }),
  oneVector({
    name: "fgetjson",
    options: "[CONTEXT json] [WITHMETA] [WITHTOKEN]",
    summary: "The same as one JSON text: values by name, and what is known about them",
    ask: (args, call) => askedOne(namedOf(args[1]!, call), args, { WITHMETA: false, WITHTOKEN: false }),
    write: ({ plan, options }, vector, out) => {
      const features = answerFeatures(plan, vector);
      const answer = isPlain(options) ? features : { features, metadata: answerMetadata(plan, vector, options) };
      out.text(JSON.stringify(answer));
    },
  }),
  oneVector({
    name: "fgetpacked",
    options: "[CONTEXT json]",
    summary: "The same as little-endian float64s and a bitmap of the nulls",
    ask: (args, call) => {
      const named = namedOf(args[1]!, call);
      if (!isExperiment(named)) requirePackable(named);
      const asked = askedOne(named, args, NO_OPTIONS);
      if (isExperiment(named)) requirePackable(asked.plan);
      return asked;
    },
    write: ({ exposure }, vector, out) => {
      writeVariant(exposure, out);
      writePackedVector(vector, out);
    },
  }),
  {
    name: "fmget",
    arity: -3,
    syntax: "service count key [key ...] [CONTEXT json]",
    summary: "A service's values for so many sets of entities; a set that cannot be read is an error in its place",
    run: runMany,
  },
  {
    name: "fdescribe",
    arity: -1,
    syntax: "[service]",
    summary: "A service's features, entities and request data; without a name, all services and experiments",
    run: (args, { door, out }) => {
      if (args.length > 2) throw new CommandError("ERR", "syntax error");
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
  },
];

/** Options that stand alone, and whether they were given. */
type Flags = Record<string, boolean>;
const NO_OPTIONS: Flags = Object.freeze({});
const PLAIN: AnswerOptions = Object.freeze({ full: false, token: false });

/** The id, where the service is what that means as a name. */
function nameMeaning(definition: ServiceDefinition, registry: Registry): string {
  const id = serviceId(definition);
  return serviceId(registry.service(id).definition) === id ? id : serviceReference(definition);
}

function namedOf(service: string, { door }: Call): NamedPlan {
  return door.reader.named(decodeText(service, "service"));
}

function writeVariant(exposure: ServedExposure | undefined, out: ReplyWriter): void {
  if (exposure === undefined) return;
  out.array(2);
  out.text(exposure.variant);
}

interface AskedOne extends ChosenVector {
  readonly options: AnswerOptions;
}

/** A command that answers with one vector, at once or once its states were fetched. */
function oneVector({ name, options, summary, ask, write }: OneVectorCommand): Command {
  const answer = (asked: AskedOne, call: Call, states?: FetchedStates): void => {
    const { plan, keys } = asked;
    const given = readOptions(asked, call);
    write(asked, call.door.reader.read(plan, keys, states === undefined ? given : { ...given, states }), call.out);
    if (isPlain(asked.options)) call.keep(plan, keys, name);
  };
  return {
    name,
    arity: -2,
    syntax: `service key [key ...] ${options}`,
    summary,
    run: (args, call) => answer(ask(args, call), call),
    runHere: (args, call) => {
      const asked = ask(args, call);
      const states = call.door.reader.fetchHere([asked]);
      if (states !== null) answer(asked, call, states);
      return states !== null;
    },
    beginFetching: async (args, call) => {
      const { reader } = call.door;
      const asked = ask(args, call);
      const { plan, keys } = asked;
      const bytes = isPlain(asked.options) ? call.copyAsked() : null;
      const states = await reader.fetch!([{ plan, keys }]);
      return (out) => {
        try {
          const from = out.length;
          write(asked, reader.read(plan, keys, { ...readOptions(asked, call), states }), out);
          if (bytes !== null) call.keepLater(bytes, from, { plan, keys }, name);
        } catch (error) {
          call.fail(error, name);
        }
      };
    },
  };
}

interface OneVectorCommand {
  readonly name: string;
  /** Behind the keys. */
  readonly options: string;
  readonly summary: string;
  readonly ask: (args: readonly string[], call: Call) => AskedOne;
  readonly write: (asked: AskedOne, vector: FeatureVector, out: ReplyWriter) => void;
}

/** What a call asks for whose first key stands at 2. `flags` are those it may give, and marked where it gives them. */
function askedOne(named: NamedPlan, args: readonly string[], flags: Flags): AskedOne {
  const { entities } = named;
  const optionsAt = 2 + entities.length;
  if (args.length < optionsAt) throw wrongKeyCount(named, args);
  let context: unknown;
  let options: AnswerOptions = PLAIN;
  if (args.length > optionsAt) {
    context = contextAt(args, optionsAt, flags, named);
    options = { full: flags["WITHMETA"] === true, token: flags["WITHTOKEN"] === true };
  }
  const chosen = chosenOf(named, keysAt(named, args, 2), requestRow(named.request, context));
  if (chosen.exposure !== undefined) options = { ...options, exposure: chosen.exposure };
  return { ...chosen, options };
}

function readOptions({ request, exposure }: ChosenVector, { session }: Call): ReadOptions {
  const consumer = session.name;
  return exposure === undefined ? { request, consumer } : { request, consumer, exposure };
}

function keysAt({ entities }: NamedPlan, args: readonly string[], at: number): EntityKey[] {
  const keys: EntityKey[] = [];
  for (let i = 0; i < entities.length; i++) {
    keys.push(entityKeyFromText(entities[i]!, decodeText(args[at + i]!, entities[i]!.name)));
  }
  return keys;
}

/** What `CONTEXT` holds, undefined where it is not given. */
function contextAt(args: readonly string[], from: number, flags: Flags, named: NamedPlan): unknown {
  let context: unknown;
  for (let at = from; at < args.length; at++) {
    const option = args[at]!.toUpperCase();
    if (option === "CONTEXT" && context === undefined && at + 1 < args.length) {
      context = parseJsonText(decodeText(args[++at]!, "CONTEXT"), "CONTEXT");
    } else if (Object.hasOwn(flags, option)) {
      flags[option] = true;
    } else {
      throw at === from && option !== "CONTEXT" ? wrongKeyCount(named, args) : new CommandError("ERR", "syntax error");
    }
  }
  return context;
}

/** Of the service as it was asked for: with its version, where that was named. */
function wrongKeyCount(plan: NamedPlan, args: readonly string[]): OnefoldError {
  const given = args.length - 2;
  const names = plan.entities.map(({ name }) => name).join(", ");
  return new OnefoldError(
    "REQUEST_INVALID",
    `${decodeText(args[1]!, "service")} reads ${plan.entities.length} entities, got ${given} argument${given === 1 ? "" : "s"}`,
    {
      hint: `give one key for each of ${names}, in this order; the parts of a composite key are joined by |`,
    },
  );
}

/** Each set is read in one turn of its own; between stretches of them other connections get theirs. */
async function runMany(args: readonly string[], call: Call): Promise<void> {
  const { door, out } = call;
  const plan = namedOf(args[1]!, call);
  const count = /^\d{1,9}$/.test(args[2]!) ? Number(args[2]) : 0;
  if (count < 1 || count > BATCH_MAX) {
    throw new OnefoldError("REQUEST_INVALID", `a count of vectors is a whole number from 1 to ${BATCH_MAX}`, {
      hint: "FMGET service count key [key ...] [CONTEXT json]",
    });
  }
  const perVector = plan.entities.length;
  const optionsAt = 3 + count * perVector;
  if (args.length < optionsAt) {
    throw new OnefoldError(
      "REQUEST_INVALID",
      `${count} vectors of ${decodeText(args[1]!, "service")} take ${count * perVector} keys, got ${args.length - 3}`,
      {
        hint: `give, for each vector, one key for each of ${plan.entities.map(({ name }) => name).join(", ")}`,
      },
    );
  }
  const requestOf = requestsOf(
    plan,
    args.length === optionsAt ? undefined : contextAt(args, optionsAt, NO_OPTIONS, plan),
    count,
  );
  const { fetch } = door.reader;
  const vectorAt = (i: number): ChosenVector => chosenOf(plan, keysAt(plan, args, 3 + i * perVector), requestOf(i));
  const asked = fetch === null ? vectorAt : settledEach(count, vectorAt);
  const states = fetch === null ? null : await fetch(askedOnes(count, asked));
  out.array(count);
  for (let i = 0; i < count; i++) {
    if (i > 0 && i % VECTORS_PER_TURN === 0) {
      await call.pause();
      await setImmediate();
    }
    try {
      answerElement(asked(i), call, states);
    } catch (error) {
      call.fail(error, "fmget");
    }
  }
}

function answerElement(chosen: ChosenVector, call: Call, states: FetchedStates | null): void {
  const { plan, keys, exposure } = chosen;
  const {
    door: { reader },
    session: { name: consumer },
    out,
  } = call;
  const options = readOptions(chosen, call);
  if (states !== null || exposure !== undefined) {
    const vector = reader.read(plan, keys, states === null ? options : { ...options, states });
    writeVariant(exposure, out);
    return writeVector(plan, vector, out);
  }
  const asked = plan.request.length > 0 ? null : askedOf(plan, out.protocol === 3 ? "resp3" : "resp2", keys, consumer);
  const found = asked === null ? null : reader.findAnswer(asked);
  if (found !== null) return out.written.bytes(found.bytes, found.start, found.end);
  const from = out.length;
  writeVector(plan, reader.read(plan, keys, options), out);
  if (asked === null) return;
  const { block: bytes, length: end } = out.written;
  reader.keepAnswer(asked, { plan, keys }, { bytes, start: from, end });
}

/** One object for all, or a list with one for each: what is wrong with one of a list is its vector's error alone. */
function requestsOf(plan: NamedPlan, context: unknown, count: number): (i: number) => Row {
  if (!Array.isArray(context)) {
    const shared = requestRow(plan.request, context);
    return () => shared;
  }
  if (context.length === count) return (i) => requestRow(plan.request, context[i]);
  throw new OnefoldError("REQUEST_INVALID", `CONTEXT has ${context.length} elements for ${count} vectors`, {
    where: "CONTEXT",
    hint: "give one object for all, or a list with one for each",
  });
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
  return outputs.map(({ name, type, view }) => mapReply({ name, type: formatType(type), view }));
}

function inputsReply({ entities, request }: NamedPlan): Record<"entities" | "request", Reply> {
  return {
    entities: entities.map(({ name, keys }) =>
      mapReply({ name, keys: keys.map((key) => mapReply({ name: key.name, type: formatType(key.type) })) }),
    ),
    request: request.map(({ name, type, nullable }) =>
      mapReply({ name, type: formatType(type), nullable: flag(nullable) }),
    ),
  };
}
