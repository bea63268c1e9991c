/**
 * `FVECTORS` and `FEVENTS`: requests and answers as the JSON that HTTP's bodies are. For clients that name
 * entities instead of counting them, and that want errors and outcomes in full: `onefold/client` speaks these.
 *
 * A key by name stays right when a service is applied with its entities in another order; a key by place,
 * from a description read before, would be looked up as another entity's.
 */
import { setImmediate } from "node:timers/promises";
import { OnefoldError } from "../../base/errors.ts";
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
  readonly entities: unknown;
  readonly request?: unknown;
  readonly metadata?: "full" | boolean;
  readonly token?: boolean;
  readonly fit?: number;
}

/** What each member but `entities` and `request`, which are checked against the service, may be. */
const MEMBERS: Readonly<Record<keyof Question, { readonly allows: (value: unknown) => boolean; readonly is: string }>> =
  {
    entities: { allows: () => true, is: "an object" },
    request: { allows: () => true, is: "an object" },
    metadata: { allows: (value) => value === "full" || typeof value === "boolean", is: '"full", true or false' },
    token: { allows: (value) => typeof value === "boolean", is: "true or false" },
    fit: { allows: (value) => Number.isSafeInteger(value) && (value as number) > 0, is: "a whole number from 1" },
  };

function questionOf(value: unknown): Question {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new OnefoldError("REQUEST_INVALID", "a question is not an object", {
      where: "body",
      hint: 'ask with {"entities": {...}}, and "request", "metadata", "token", "fit" where they are wanted',
    });
  }
  for (const [name, given] of Object.entries(value)) {
    if (!Object.hasOwn(MEMBERS, name)) {
      throw new OnefoldError("REQUEST_INVALID", `a question has no member "${name}"`, {
        where: name,
        candidates: nearestNames(name, Object.keys(MEMBERS)),
      });
    }
    const { allows, is } = MEMBERS[name as keyof Question];
    if (!allows(given)) throw new OnefoldError("REQUEST_INVALID", `${name} is not ${is}`, { where: name });
  }
  return value as Question;
}
