/**
 * `FVECTORS` and `FEVENTS`: requests and answers as the JSON that HTTP's bodies are. For clients that name
 * entities instead of counting them, and that want errors and outcomes in full: `onefold/client` speaks these.
 *
 * A key by name stays right when a service is applied with its entities in another order; a key by place,
 * from a description read before, would be looked up as another entity's.
 */
import { setImmediate } from "node:timers/promises";
import { type ErrorDetails, OnefoldError } from "../../base/errors.ts";
import { nearestNames } from "../../base/nearest-names.ts";
import { parseJsonText } from "../../schema/json-text.ts";
import { requestRow } from "../../vector/request-row.ts";
import { serviceKeys } from "../entity-input.ts";
import { pushBody } from "../event-routes.ts";
import { type AnswerBytes, writtenText } from "../answer-bytes.ts";
import { writeFeatures } from "../features-bytes.ts";
import { chosenOf, type ChosenVector } from "../experiment-plan.ts";
import type { FetchedStates } from "../ports.ts";
import { answerMetadata, type AnswerOptions } from "../vector-answer.ts";
import { BATCH_MAX, VECTORS_PER_TURN } from "../vector-batch.ts";
import { decodeText } from "./byte-string.ts";
import { askedOnes, settledEach } from "./asked-vectors.ts";
import type { Call, Command } from "./command.ts";
import { eventBodyOf } from "./push-command.ts";

export const bodyCommands: readonly Command[] = [
  {
    name: "fvectors",
    arity: -3,
    syntax: "service json [json ...]",
    summary: "Vectors asked for as over HTTP, by named entities; each is answered with JSON, errors too",
    run: runVectors,
  },
  {
    name: "fevents",
    arity: 3,
    syntax: "source json",
    summary: "Pushes events as over HTTP; the answer is JSON with one outcome a row",
    begin: async (args, call) => {
      try {
        const source = decodeText(args[1]!, "source");
        const { body } = await pushBody(call.door.ports, source, eventBodyOf(args[2]!, "argument 2"));
        return (out) => out.text(JSON.stringify(body));
      } catch (error) {
        return () => call.failAsJson(error, "fevents");
      }
    },
  },
];

/** Each vector is read in one turn of its own; between stretches of them other connections get theirs. */
async function runVectors(args: readonly string[], call: Call): Promise<void> {
  const count = args.length - 2;
  if (count > BATCH_MAX) {
    throw new OnefoldError("REQUEST_INVALID", `${count} vectors in one command; the limit is ${BATCH_MAX}`, {
      hint: `ask for them in several commands of up to ${BATCH_MAX}`,
    });
  }
  const { fetch } = call.door.reader;
  const question = (i: number): AskedVector => askedVector(args[1]!, args[2 + i]!, call);
  const asked = fetch === null ? question : settledEach(count, question);
  const states = fetch === null ? null : await fetch(askedOnes(count, asked));
  call.out.array(count);
  for (let i = 0; i < count; i++) {
    if (i > 0 && i % VECTORS_PER_TURN === 0) {
      await call.pause();
      await setImmediate();
    }
    try {
      call.out.text(writtenText((out) => writeAnswer(asked(i), call, states, out)));
    } catch (error) {
      call.failAsJson(error, "fvectors");
    }
  }
}

interface AskedVector extends ChosenVector {
  readonly options: AnswerOptions;
}

function askedVector(service: string, json: string, { door }: Call): AskedVector {
  const { entities, request, metadata, token, fit } = questionOf(
    parseJsonText(decodeText(json, "the question"), "body"),
  );
  const named = door.reader.named(decodeText(service, "service"), fit);
  if (entities === undefined) throw refused("body must have required property 'entities'");
  const keys = serviceKeys(named.entities, entities);
  const chosen = chosenOf(named, keys, requestRow(named.request, request));
  const options = { full: metadata === true || metadata === "full", token: token === true };
  return { ...chosen, options };
}

function writeAnswer(
  asked: AskedVector,
  { door, session }: Call,
  states: FetchedStates | null,
  out: AnswerBytes,
): void {
  const { plan, keys, request, exposure } = asked;
  const of = exposure === undefined ? {} : { exposure };
  const options = { ...asked.options, ...of };
  const given = { request, consumer: session.name, ...of, ...(states === null ? {} : { states }) };
  const vector = door.reader.read(plan, keys, given);
  const about = answerMetadata(plan, vector, options);
  out.text('{"features":');
  writeFeatures(plan, vector, out);
  out.text(`,"metadata":${JSON.stringify(about)}}`);
}

/** The body of `POST /services/{name}/vector`. */
interface Question {
  readonly entities?: unknown;
  readonly request?: unknown;
  readonly metadata?: "full" | boolean;
  readonly token?: boolean;
  readonly fit?: number;
}

/** What is said of each member that is not as HTTP's route has it; null where it is. */
const FAULTS: Readonly<Record<keyof Question, (value: unknown) => string | null>> = {
  entities: (value) => (isObject(value) ? null : "must be object"),
  request: (value) => (isObject(value) ? null : "must be object"),
  metadata: (value) =>
    value === "full" || typeof value === "boolean" ? null : "must be equal to one of the allowed values",
  token: (value) => (typeof value === "boolean" ? null : "must be boolean"),
  fit: (value) => (!Number.isInteger(value) ? "must be integer" : (value as number) < 1 ? "must be >= 1" : null),
};

/** Refuses what HTTP refuses, in its words. */
function questionOf(value: unknown): Question {
  if (!isObject(value)) {
    throw refused("body must be object", {
      hint: 'ask with {"entities": {...}}, and "request", "metadata", "token", "fit" where they are wanted',
    });
  }
  for (const [name, given] of Object.entries(value)) {
    if (!Object.hasOwn(FAULTS, name)) {
      throw refused(`body has no field "${name}"`, { candidates: nearestNames(name, Object.keys(FAULTS)) });
    }
    const fault = FAULTS[name as keyof Question](given);
    if (fault === null) continue;
    const hint = name === "metadata" ? { hint: 'one of ["full",true,false]' } : {};
    throw refused(`body/${name} ${fault}`, { where: `body/${name}`, ...hint });
  }
  return value as unknown as Question;
}

function refused(message: string, details: ErrorDetails = {}): OnefoldError {
  return new OnefoldError("REQUEST_INVALID", message, { where: "body", ...details });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
