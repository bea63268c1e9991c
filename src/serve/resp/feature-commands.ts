/**
 * Commands that read feature vectors of a service.
 *
 * Asked for by an experiment's name, values stand behind the version that was served, as two elements of an array. With
 * `WITHAGE` all of that stands behind the age of the states, in the same way.
 *
 * A key argument is the canonical text of one entity's key, as in a URL; there is one for each entity of the
 * service, in the order that `FDESCRIBE` tells.
 */
import { setImmediate } from "node:timers/promises";
import { OnefoldError } from "../../base/errors.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import { parseJsonText } from "../../schema/json-text.ts";
import type { Row } from "../../schema/value.ts";
import { requestRow } from "../../vector/request-row.ts";
import { entityKeyFromText } from "../entity-input.ts";
import { chosenOf, type ChosenVector, isExperiment, type NamedPlan, type ServedExposure } from "../experiment-plan.ts";
import type { ReadOptions } from "../feature-vector.ts";
import { askedOf } from "../kept-elements.ts";
import type { FetchedStates } from "../ports.ts";
import type { FeatureVector } from "../vector-buffer.ts";
import { answerFeatures, answerMetadata, type AnswerOptions, isPlain } from "../vector-answer.ts";
import { BATCH_MAX, VECTORS_PER_TURN } from "../vector-batch.ts";
import { decodeText } from "./byte-string.ts";
import { askedOnes, settledEach } from "./asked-vectors.ts";
import type { Call, Command } from "./command.ts";
import { describeCommand } from "./describe-command.ts";
import type { ReplyWriter } from "./reply-writer.ts";
import { requirePackable, writeAge, writePackedVector, writeVector } from "./vector-reply.ts";
import { wrongSyntax } from "./wrong-usage.ts";

const MANY_SYNTAX = "service count key [key ...] [CONTEXT json] [WITHAGE]";

export const featureCommands: readonly Command[] = [
  oneVector({
    name: "fget",
    options: "[CONTEXT json] [WITHAGE]",
    summary: "A service's values for one set of entities, in the service's order",
    ask: (args, call) => askedOne(namedOf(args[1]!, call), args, WITH_AGE),
    write: (asked, vector, out) => {
      writeBefore(asked, vector, out);
      writeVector(asked.plan, vector, out);
    },
  }),
  oneVector({
    name: "fgetjson",
    options: "[CONTEXT json] [WITHMETA] [WITHTOKEN]",
    summary: "The same as one JSON text: values by name, and what is known about them",
    ask: (args, call) => askedOne(namedOf(args[1]!, call), args, WITH_METADATA),
    write: ({ plan, options }, vector, out) => {
      const features = answerFeatures(plan, vector);
      const answer = isPlain(options) ? features : { features, metadata: answerMetadata(plan, vector, options) };
      out.text(JSON.stringify(answer));
    },
  }),
  oneVector({
    name: "fgetpacked",
    options: "[CONTEXT json] [WITHAGE]",
    summary: "The same as little-endian float64s and a bitmap of the nulls",
    ask: (args, call) => {
      const named = namedOf(args[1]!, call);
      if (!isExperiment(named)) requirePackable(named);
      const asked = askedOne(named, args, WITH_AGE);
      if (isExperiment(named)) requirePackable(asked.plan);
      return asked;
    },
    write: (asked, vector, out) => {
      writeBefore(asked, vector, out);
      writePackedVector(vector, out);
    },
  }),
  {
    name: "fmget",
    arity: -3,
    syntax: MANY_SYNTAX,
    summary: "A service's values for so many sets of entities; a set that cannot be read is an error in its place",
    run: runMany,
  },
  describeCommand,
];

/** Options that stand alone. */
const WITH_AGE: readonly string[] = ["WITHAGE"];
const WITH_METADATA: readonly string[] = ["WITHMETA", "WITHTOKEN"];

interface AskedOptions extends AnswerOptions {
  /** Whether the reply begins with how old the states are. */
  readonly age: boolean;
}
const PLAIN: AskedOptions = Object.freeze({ full: false, token: false, age: false });

function namedOf(service: string, { door }: Call): NamedPlan {
  return door.reader.named(decodeText(service, "service"));
}

/** What stands before a vector. */
function writeBefore({ plan, exposure, options }: AskedOne, { asOf }: FeatureVector, out: ReplyWriter): void {
  if (options.age) writeAge(plan, asOf, out);
  writeVariant(exposure, out);
}

function writeVariant(exposure: ServedExposure | undefined, out: ReplyWriter): void {
  if (exposure === undefined) return;
  out.array(2);
  out.text(exposure.variant);
}

interface AskedOne extends ChosenVector {
  readonly options: AskedOptions;
}

/** Whether the reply is made of nothing but the values. */
function mayBeKept({ options }: AskedOne): boolean {
  return isPlain(options) && !options.age;
}

/** A command that answers with one vector, at once or once its states were fetched. */
function oneVector({ name, options, summary, ask, write }: OneVectorCommand): Command {
  const answer = (asked: AskedOne, call: Call, states?: FetchedStates): void => {
    const { plan, keys } = asked;
    const given = readOptions(asked, call);
    write(asked, call.door.reader.read(plan, keys, states === undefined ? given : { ...given, states }), call.out);
    if (mayBeKept(asked)) call.keep(plan, keys, name);
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
      const bytes = mayBeKept(asked) ? call.copyAsked() : null;
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

/** What a call asks for whose first key stands at 2. `flags` are those that it may give. */
function askedOne(named: NamedPlan, args: readonly string[], flags: readonly string[]): AskedOne {
  const { entities } = named;
  const optionsAt = 2 + entities.length;
  if (args.length < optionsAt) throw wrongKeyCount(named, args);
  let context: unknown;
  let options: AskedOptions = PLAIN;
  if (args.length > optionsAt) {
    const behind = optionsBehindKeys(args, optionsAt, flags, () => wrongKeyCount(named, args));
    const { given } = behind;
    context = behind.context;
    options = { full: given.has("WITHMETA"), token: given.has("WITHTOKEN"), age: given.has("WITHAGE") };
  }
  const row = requestRow(named.request, context);
  const { plan, keys, request, exposure } = chosenOf(named, keysAt(named, args, 2), row);
  if (exposure === undefined) return { plan, keys, request, options };
  return { plan, keys, request, exposure, options: { ...options, exposure } };
}

function readOptions({ request, exposure }: ChosenVector, { session }: Call): ReadOptions {
  const consumer = session.name;
  return exposure === undefined ? { request, consumer } : { request, consumer, exposure };
}

function keysAt({ entities }: NamedPlan, args: readonly string[], at: number): EntityKey[] {
  return entities.map((entity, i) => entityKeyFromText(entity, decodeText(args[at + i]!, entity.name)));
}

interface BehindKeys {
  /** What `CONTEXT` holds, undefined where it is not given. */
  readonly context: unknown;
  readonly given: ReadonlySet<string>;
}

function optionsBehindKeys(
  args: readonly string[],
  from: number,
  flags: readonly string[],
  tooManyKeys: () => OnefoldError,
): BehindKeys {
  let context: unknown;
  const given = new Set<string>();
  for (let at = from; at < args.length; at++) {
    const option = args[at]!.toUpperCase();
    if (option === "CONTEXT" && context === undefined && at + 1 < args.length) {
      context = parseJsonText(decodeText(args[++at]!, "CONTEXT"), "CONTEXT");
    } else if (flags.includes(option)) {
      given.add(option);
    } else {
      throw at === from && option !== "CONTEXT" ? tooManyKeys() : wrongSyntax(...usageOf(args[0]!));
    }
  }
  return { context, given };
}

/** Name and syntax of one of these commands. */
function usageOf(command: string): [name: string, syntax: string] {
  const { name, syntax } = featureCommands.find((one) => one.name === command.toLowerCase())!;
  return [name, syntax];
}

/** Of the service as it was asked for: with its version, where that was named. */
function wrongKeyCount(plan: NamedPlan, args: readonly string[]): OnefoldError {
  const given = args.length - 2;
  const wanted = plan.entities.length;
  const names = plan.entities.map(({ name }) => name).join(", ");
  const reads = `${decodeText(args[1]!, "service")} reads ${wanted} ${wanted === 1 ? "entity" : "entities"}`;
  return new OnefoldError("REQUEST_INVALID", `${reads}, got ${given} argument${given === 1 ? "" : "s"}`, {
    hint: `give one key for each of ${names}, in this order; the parts of a composite key are joined by |`,
  });
}

function wrongKeysOfMany({ entities }: NamedPlan, args: readonly string[], count: number): OnefoldError {
  const wanted = count * entities.length;
  const keysAndOptions = args.slice(3);
  const optionAt = keysAndOptions.findIndex(
    (arg, i) => i >= wanted && ["CONTEXT", ...WITH_AGE].includes(arg.toUpperCase()),
  );
  const given = optionAt < 0 ? keysAndOptions.length : optionAt;
  const takes = `${count === 1 ? "1 vector" : `${count} vectors`} of ${decodeText(args[1]!, "service")} ${count === 1 ? "takes" : "take"}`;
  return new OnefoldError("REQUEST_INVALID", `${takes} ${wanted} key${wanted === 1 ? "" : "s"}, got ${given}`, {
    hint: `give, for each vector, one key for each of ${entities.map(({ name }) => name).join(", ")}`,
  });
}

/** Each set is read in one turn of its own; between stretches of them other connections get theirs. */
async function runMany(args: readonly string[], call: Call): Promise<void> {
  const { door, out } = call;
  const plan = namedOf(args[1]!, call);
  const count = /^\d{1,9}$/.test(args[2]!) ? Number(args[2]) : 0;
  if (count < 1 || count > BATCH_MAX) {
    throw new OnefoldError("REQUEST_INVALID", `a count of vectors is a whole number from 1 to ${BATCH_MAX}`, {
      hint: `FMGET ${MANY_SYNTAX}`,
    });
  }
  const perVector = plan.entities.length;
  const optionsAt = 3 + count * perVector;
  const wrongCount = (): OnefoldError => wrongKeysOfMany(plan, args, count);
  if (args.length < optionsAt) throw wrongCount();
  const { context, given } = optionsBehindKeys(args, optionsAt, WITH_AGE, wrongCount);
  const withAge = given.has("WITHAGE");
  const requestOf = requestsOf(plan, context, count);
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
      answerElement(asked(i), withAge, call, states);
    } catch (error) {
      call.fail(error, "fmget");
    }
  }
}

function answerElement(chosen: ChosenVector, withAge: boolean, call: Call, states: FetchedStates | null): void {
  const { plan, keys, exposure } = chosen;
  const {
    door: { reader },
    session: { name: consumer },
    out,
  } = call;
  const options = readOptions(chosen, call);
  if (states !== null || exposure !== undefined) {
    const vector = reader.read(plan, keys, states === null ? options : { ...options, states });
    if (withAge) writeAge(plan, vector.asOf, out);
    writeVariant(exposure, out);
    return writeVector(plan, vector, out);
  }
  const asked = plan.request.length > 0 ? null : askedOf(plan, out.protocol === 3 ? "resp3" : "resp2", keys, consumer);
  const found = asked === null ? null : reader.findAnswer(asked);
  if (found !== null) {
    if (withAge) writeAge(plan, found.asOf, out);
    return out.written.bytes(found.bytes, found.start, found.end);
  }
  const vector = reader.read(plan, keys, options);
  if (withAge) writeAge(plan, vector.asOf, out);
  const from = out.length;
  writeVector(plan, vector, out);
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
