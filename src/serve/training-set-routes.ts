/**
 * Training sets over HTTP: a job is started with label rows, its progress is followed, its file downloaded.
 */
import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import { LabelUpload } from "./label-upload.ts";
import type { ServePorts } from "./ports.ts";
import { errorSchema, type JsonSchema, nameSchema, type Route, type RouteRequest, sameHeaders } from "./route.ts";
import {
  isUnderWay,
  type SetFormat,
  type TrainingDesk,
  type TrainingJob,
  type TrainingOptions,
} from "./training-desk.ts";
import { optionsOfQuery } from "./training-set-query.ts";
import { chosenIdSchema, jobSchema, optionQuerySchemas, optionSchemas } from "./training-set-schemas.ts";

const EVENTS_HEADERS = { "cache-control": "no-store", "x-accel-buffering": "no" };
const CONTENT_TYPES: Readonly<Record<SetFormat, string>> = {
  parquet: "application/vnd.apache.parquet",
  arrow: "application/vnd.apache.arrow.stream",
  manifest: "application/json",
  leakage: "application/json",
};
const ENDINGS: Readonly<Record<SetFormat, string>> = {
  parquet: "parquet",
  arrow: "arrows",
  manifest: "manifest.json",
  leakage: "leakage.json",
};
/** Between two events of a job that says nothing new, so that nobody on the way takes the connection for dead. */
const EVENTS_MILLIS_MIN = 250;

const idParams: JsonSchema = { type: "object", properties: { id: nameSchema } };

export function trainingSetRoutes(ports: ServePorts): Route[] {
  const desk = (): TrainingDesk => {
    const { training } = ports;
    if (training !== undefined) return training;
    throw new OnefoldError("TRAINING_NOT_OFFERED", "this server builds no training sets", {
      hint: "ask the server that owns the data folder, started without --training-jobs 0; or run `onefold train` there",
    });
  };
  return [
    {
      method: "POST",
      path: "/training-sets",
      summary: "Start building a training set",
      reads: "labels",
      schemas: {
        query: {
          type: "object",
          additionalProperties: false,
          properties: { ...optionQuerySchemas, id: chosenIdSchema },
        },
        body: {
          type: "object",
          required: ["service", "labels"],
          additionalProperties: false,
          properties: {
            ...optionSchemas,
            id: chosenIdSchema,
            labels: {
              type: "object",
              description: "`rows`, `path`, or, with `every`, `entities`",
              additionalProperties: false,
              minProperties: 1,
              maxProperties: 1,
              properties: {
                rows: {
                  type: "array",
                  items: { type: "object", additionalProperties: true },
                  description: "label rows; more of them than 8 MB of JSON are sent as a file",
                },
                path: { type: "string", minLength: 1, description: "a file in the server's --labels-folder" },
                entities: { type: "string", enum: ["all"], description: "every entity known by the tick" },
              },
            },
          },
        },
        answers: { 202: jobSchema, ...errors(400, 403, 404, 409, 413, 429, 499) },
      },
      handle: (request) => start(desk(), request),
    },
    {
      method: "GET",
      path: "/training-sets",
      summary: "The training sets that are under way or kept, the newest first",
      reads: "nothing",
      schemas: {
        answers: {
          200: { type: "object", properties: { training_sets: { type: "array", items: jobSchema } } },
          ...errors(409),
        },
      },
      handle: async () => ({ status: 200, body: { training_sets: await desk().list() } }),
    },
    {
      method: "GET",
      path: "/training-sets/{id}",
      summary: "How a training set stands",
      reads: "nothing",
      schemas: { params: idParams, answers: { 200: jobSchema, ...errors(404, 409) } },
      handle: async ({ params }) => ({ status: 200, body: await desk().job(params["id"]!) }),
    },
    {
      method: "GET",
      path: "/training-sets/{id}/events",
      summary: "How a training set stands, again and again until it is done (server-sent events)",
      reads: "nothing",
      schemas: {
        params: idParams,
        answers: { 200: { type: "string", description: "each event's data is the job as JSON" }, ...errors(404, 409) },
        answerType: "text/event-stream",
        answerHeaders: sameHeaders(EVENTS_HEADERS),
      },
      handle: async ({ params, ended }) => {
        const jobs = desk();
        const first = await jobs.job(params["id"]!);
        return {
          status: 200,
          body: null,
          contentType: "text/event-stream; charset=utf-8",
          headers: EVENTS_HEADERS,
          stream: Readable.from(jobEvents(jobs, first, ended), { objectMode: false }),
        };
      },
    },
    {
      method: "GET",
      path: "/training-sets/{id}/download",
      summary: "The file of a training set that is done",
      reads: "nothing",
      schemas: {
        params: idParams,
        query: {
          type: "object",
          additionalProperties: false,
          properties: { format: { type: "string", enum: Object.keys(CONTENT_TYPES), description: "default parquet" } },
        },
        answers: { 200: { type: "string", format: "binary" }, ...errors(400, 404, 409) },
        answerType: [...new Set(Object.values(CONTENT_TYPES))],
        answerHeaders: { "content-disposition": { type: "string", description: "the name of the file" } },
      },
      handle: async ({ params, query }) => {
        const format = (query["format"] ?? "parquet") as SetFormat;
        const id = params["id"]!;
        const { path, bytes } = await desk().file(id, format);
        return {
          status: 200,
          body: null,
          contentType: CONTENT_TYPES[format],
          headers: {
            "content-length": String(bytes),
            "content-disposition": `attachment; filename="${id}.${ENDINGS[format]}"`,
          },
          stream: createReadStream(path),
        };
      },
    },
    {
      method: "DELETE",
      path: "/training-sets/{id}",
      summary: "Cancel a training set that is under way, or yet to come; or remove one that is not",
      reads: "nothing",
      schemas: { params: idParams, answers: { 200: jobSchema, ...errors(404, 409) } },
      handle: async ({ params }) => ({ status: 200, body: await desk().remove(params["id"]!) }),
    },
  ];
}

function errors(...statuses: readonly number[]): Record<number, JsonSchema> {
  return Object.fromEntries(statuses.map((status) => [status, errorSchema]));
}

async function start(
  desk: TrainingDesk,
  { query, body }: RouteRequest,
): Promise<{ status: number; body: TrainingJob }> {
  if (body instanceof LabelUpload) {
    const { id, ...options } = query;
    return receiveAndStart(desk, { format: body.format, id }, () => optionsOfQuery(options), {
      receive: (path, bytesMax) => body.receive(path, bytesMax),
      refuse: () => body.refuse(),
    });
  }
  const given = Object.keys(query);
  if (given.length > 0) {
    throw new OnefoldError("REQUEST_INVALID", `${given.join(", ")} in the query of a request that has a JSON body`, {
      where: "query",
      hint: "options stand in the JSON body; in the query only where the body is a file",
    });
  }
  const { labels, id, ...options } = body as TrainingOptions & {
    id?: string;
    labels: { rows?: readonly object[]; path?: string; entities?: "all" };
  };
  if (labels.path !== undefined) return { status: 202, body: await desk.start({ path: labels.path }, options, id) };
  if (labels.entities !== undefined) return { status: 202, body: await desk.start({ entities: "all" }, options, id) };
  const lines = labels.rows!.map((row) => `${JSON.stringify(row)}\n`);
  return receiveAndStart(desk, { format: "ndjson", id }, () => options, {
    receive: (path) => writeFile(path, lines),
    refuse: async () => {},
  });
}

interface LabelSource {
  receive(path: string, bytesMax: number): Promise<void>;
  refuse(): Promise<void>;
}

async function receiveAndStart(
  desk: TrainingDesk,
  { format, id }: { readonly format: LabelUpload["format"]; readonly id: string | undefined },
  options: () => TrainingOptions,
  labels: LabelSource,
): Promise<{ status: number; body: TrainingJob }> {
  let asked: TrainingOptions;
  let place: Awaited<ReturnType<TrainingDesk["reserve"]>>;
  try {
    asked = options();
    place = await desk.reserve(format, id);
  } catch (error) {
    await labels.refuse();
    throw error;
  }
  try {
    await labels.receive(place.path, place.bytesMax);
  } catch (error) {
    await desk.release(place.id);
    throw error;
  }
  return { status: 202, body: await desk.start({ id: place.id }, asked) };
}

/** As long as the job is under way, and once more when it is not. Ends with `ended`, too. */
async function* jobEvents(desk: TrainingDesk, first: TrainingJob, ended?: AbortSignal): AsyncGenerator<string> {
  let job = first;
  yield eventText(job);
  while (isUnderWay(job)) {
    const [next] = await Promise.all([nextOf(desk, job, ended), pause(EVENTS_MILLIS_MIN, ended)]);
    if (next === null) return;
    yield next.revision === job.revision ? ": still at it\n\n" : eventText(next);
    job = next;
  }
}

/** Null where it was removed, or nobody waits for it any more. */
async function nextOf(desk: TrainingDesk, job: TrainingJob, ended?: AbortSignal): Promise<TrainingJob | null> {
  const next = desk.changed(job.id, job.revision).catch((error: unknown) => {
    if (isOnefoldError(error)) return null;
    throw error;
  });
  if (ended === undefined) return next;
  if (ended.aborted) return null;
  return new Promise((resolve, reject) => {
    const stop = (): void => resolve(null);
    ended.addEventListener("abort", stop, { once: true });
    next.then(resolve, reject).finally(() => ended.removeEventListener("abort", stop));
  });
}

function pause(millis: number, ended?: AbortSignal): Promise<void> {
  if (ended?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      ended?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, millis);
    ended?.addEventListener("abort", done, { once: true });
  });
}

function eventText(job: TrainingJob): string {
  return `event: ${isUnderWay(job) ? "progress" : job.state}\nid: ${job.revision}\ndata: ${JSON.stringify(job)}\n\n`;
}
