/**
 * Commands that read feature vectors of a service, and the one that describes what a service reads.
 *
 * A key argument is the canonical text of one entity's key, as in a URL; there is one for each entity of the
 * service, in the order that `FDESCRIBE` tells.
 */
import { setImmediate } from "node:timers/promises";
import { OnefoldError } from "../../base/errors.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import { parseJsonText } from "../../schema/json-text.ts";
import { formatType, type Row } from "../../schema/value.ts";
import { requestRow } from "../../vector/request-row.ts";
import { entityKeyFromText } from "../entity-input.ts";
import { askedOf } from "../kept-elements.ts";
import type { VectorAsk } from "../feature-reader.ts";
import type { FetchedStates } from "../ports.ts";
import type { FeatureVector } from "../vector-buffer.ts";
import { answerFeatures, answerMetadata } from "../vector-answer.ts";
import { BATCH_MAX, VECTORS_PER_TURN } from "../vector-batch.ts";
import type { VectorPlan } from "../vector-plan.ts";
import { decodeText } from "./byte-string.ts";
import { askedOnes, settledEach } from "./asked-vectors.ts";
import type { Call, Command } from "./command.ts";
import { CommandError } from "./error-reply.ts";
import { mapReply, type Reply } from "./reply-writer.ts";
import { formatVector, isPackable, requirePackable, writePackedVector } from "./vector-reply.ts";

export const featureCommands: readonly Command[] = [
  {
    name: "fget",
    arity: -2,
    syntax: "service key [key ...] [CONTEXT json]",
    summary: "A service's values for one set of entities, in the service's order",
    run: (args, call) => {
      const plan = planOf(args[1]!, call);
      return withOne(plan, args, call, NO_OPTIONS, (vector, keys) => {
        call.out.raw(formatVector(plan, vector, call.out.protocol));
        call.keep(plan, keys, "fget");
      });
    },
  },
  {
    name: "fgetjson",
    arity: -2,
    syntax: "service key [key ...] [CONTEXT json] [WITHMETA] [WITHTOKEN]",
    summary: "The same as one JSON text: values by name, and what is known about them",
    run: (args, call) => {
      const plan = planOf(args[1]!, call);
      const asked = { WITHMETA: false, WITHTOKEN: false };
      return withOne(plan, args, call, asked, (vector, keys) => {
        const features = answerFeatures(plan, vector);
        const isPlain = !asked.WITHMETA && !asked.WITHTOKEN;
        const options = { full: asked.WITHMETA, token: asked.WITHTOKEN };
        const answer = isPlain ? features : { features, metadata: answerMetadata(plan, vector, options) };
        call.out.text(JSON.stringify(answer));
        if (isPlain) call.keep(plan, keys, "fgetjson");
      });
    },
  },
  {
    name: "fgetpacked",
    arity: -2,
    syntax: "service key [key ...] [CONTEXT json]",
    summary: "The same as little-endian float64s and a bitmap of the nulls",
    run: (args, call) => {
      const plan = planOf(args[1]!, call);
      requirePackable(plan);
      return withOne(plan, args, call, NO_OPTIONS, (vector, keys) => {
        writePackedVector(vector, call.out);
        call.keep(plan, keys, "fgetpacked");
      });
    },
  },
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
    summary: "A service's features, entities and request data; without a name, the names of all services",
    run: (args, { door, out }) => {
      if (args.length > 2) throw new CommandError("ERR", "syntax error");
      const { reader, ports } = door;
      if (args.length === 1) out.reply(ports.registry.services().map(({ definition }) => definition.name));
      else out.reply(describePlan(reader.servicePlan(decodeText(args[1]!, "service"))));
    },
  },
];

/** Options that stand alone, and whether they were given. */
type Flags = Record<string, boolean>;
const NO_OPTIONS: Flags = Object.freeze({});

function planOf(service: string, { door }: Call): VectorPlan {
  return door.reader.servicePlan(decodeText(service, "service"));
}

interface AskedVector extends VectorAsk {
  readonly request: Row;
}

/** Writes the vector that a call asks for whose first key stands at 2; marks the flags it gives in `flags`. */
function withOne(
  plan: VectorPlan,
  args: readonly string[],
  { door: { reader } }: Call,
  flags: Flags,
  write: (vector: FeatureVector, keys: readonly EntityKey[]) => void,
): void | Promise<void> {
  const { entities } = plan;
  const optionsAt = 2 + entities.length;
  if (args.length < optionsAt) throw wrongKeyCount(plan, args.length - 2);
  const context = args.length === optionsAt ? undefined : readOptions(args, optionsAt, flags, plan);
  const keys = keysAt(plan, args, 2);
  const request = requestRow(plan.request, context);
  if (reader.fetch === null) return write(reader.read(plan, keys, { request }), keys);
  return reader.fetch([{ plan, keys }]).then((states) => write(reader.read(plan, keys, { request, states }), keys));
}

function keysAt(plan: VectorPlan, args: readonly string[], at: number): EntityKey[] {
  const { entities } = plan;
  const keys: EntityKey[] = [];
  for (let i = 0; i < entities.length; i++) {
    keys.push(entityKeyFromText(entities[i]!, decodeText(args[at + i]!, entities[i]!.name)));
  }
  return keys;
}

/** What `CONTEXT` holds, undefined where it is not given. */
function readOptions(args: readonly string[], from: number, flags: Flags, plan: VectorPlan): unknown {
  let context: unknown;
  for (let at = from; at < args.length; at++) {
    const option = args[at]!.toUpperCase();
    if (option === "CONTEXT" && context === undefined && at + 1 < args.length) {
      context = parseJsonText(decodeText(args[++at]!, "CONTEXT"), "CONTEXT");
    } else if (Object.hasOwn(flags, option)) {
      flags[option] = true;
    } else {
      throw at === from && option !== "CONTEXT"
        ? wrongKeyCount(plan, args.length - 2)
        : new CommandError("ERR", "syntax error");
    }
  }
  return context;
}

function wrongKeyCount(plan: VectorPlan, given: number): OnefoldError {
  const names = plan.entities.map(({ name }) => name).join(", ");
  return new OnefoldError(
    "REQUEST_INVALID",
    `${plan.service} reads ${plan.entities.length} entities, got ${given} arguments`,
    {
      hint: `give one key for each of ${names}, in this order; the parts of a composite key are joined by |`,
    },
  );
}

/** Each set is read in one turn of its own; between stretches of them other connections get theirs. */
async function runMany(args: readonly string[], call: Call): Promise<void> {
  const { out } = call;
  const plan = planOf(args[1]!, call);
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
      `${count} vectors of ${plan.service} take ${count * perVector} keys, got ${args.length - 3}`,
      {
        hint: `give, for each vector, one key for each of ${plan.entities.map(({ name }) => name).join(", ")}`,
      },
    );
  }
  const requestOf = requestsOf(
    plan,
    args.length === optionsAt ? undefined : readOptions(args, optionsAt, NO_OPTIONS, plan),
    count,
  );
  const { reader } = call.door;
  const vectorAt = (i: number): AskedVector => {
    return { plan, keys: keysAt(plan, args, 3 + i * perVector), request: requestOf(i) };
  };
  const asked = reader.fetch === null ? vectorAt : settledEach(count, vectorAt);
  const states = reader.fetch === null ? null : await reader.fetch(askedOnes(count, asked));
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

function answerElement(
  { plan, keys, request }: AskedVector,
  { door: { reader }, out }: Call,
  states: FetchedStates | null,
): void {
  const mayBeKept = states === null && plan.request.length === 0;
  const asked = mayBeKept ? askedOf(plan, out.protocol === 3 ? "resp3" : "resp2", keys) : null;
  const found = asked === null ? null : reader.findAnswer(asked);
  if (found !== null) return out.bytes(found.bytes, found.start, found.end);
  const from = out.length;
  const vector = reader.read(plan, keys, states === null ? { request } : { request, states });
  out.raw(formatVector(plan, vector, out.protocol));
  if (asked !== null) reader.keepAnswer(asked, { plan, keys, bytes: out.since(from) });
}

/** One object for all, or a list with one for each: what is wrong with one of a list is its vector's error alone. */
function requestsOf(plan: VectorPlan, context: unknown, count: number): (i: number) => Row {
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

function describePlan(plan: VectorPlan): Reply {
  const flag = (is: boolean): Reply => Number(is);
  return mapReply({
    service: plan.service,
    features: plan.outputs.map(({ name, type, view }) => mapReply({ name, type: formatType(type), view })),
    entities: plan.entities.map(({ name, keys }) =>
      mapReply({ name, keys: keys.map((key) => mapReply({ name: key.name, type: formatType(key.type) })) }),
    ),
    request: plan.request.map(({ name, type, nullable }) =>
      mapReply({ name, type: formatType(type), nullable: flag(nullable) }),
    ),
    packable: flag(plan.outputs.every(({ type }) => isPackable(type))),
  });
}
