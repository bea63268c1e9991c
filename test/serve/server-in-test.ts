/**
 * A server over a `World` on a real port for each test of a file, and calls to it.
 */
import { afterEach, beforeEach } from "vitest";
import type { Definition } from "../../src/define/definition.ts";
import { createFeatureReader } from "../../src/serve/feature-reader.ts";
import { type HttpServer, openHttpServer } from "../../src/serve/http.ts";
import { createWorld, type World } from "./served-world.ts";

export interface Answer {
  readonly status: number;
  readonly body: AnswerBody;
  readonly headers: Headers;
}

/** Fields of all the answers; a test reads those that its route has. */
export interface AnswerBody {
  readonly error?: { readonly code: string; readonly message: string; readonly candidates?: string[] };
  readonly features: Readonly<Record<string, unknown>>;
  readonly metadata: {
    readonly latency_ms: number;
    readonly token: string;
    readonly missing_features: string[];
    readonly features: Readonly<Record<string, { readonly status: string }>>;
  };
  readonly results: readonly AnswerBody[];
  readonly outcomes: readonly Readonly<Record<string, unknown>>[];
  readonly [field: string]: unknown;
}

export interface ServerFailure {
  readonly error: unknown;
  readonly request: string;
}

export interface ServerInTest {
  readonly world: World;
  readonly server: HttpServer;
  /** What the server reported as its own fault. */
  readonly failures: readonly ServerFailure[];
  get(path: string): Promise<Answer>;
  /** Text is sent as it is, anything else as JSON. */
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>;
}

/** To be called once, at the top of a test file. */
export function useServer(definitions?: readonly Definition[]): ServerInTest {
  let world: World;
  let server: HttpServer;
  let failures: ServerFailure[] = [];

  beforeEach(async () => {
    world = await createWorld(definitions);
    failures = [];
    server = await openHttpServer(createFeatureReader(world), world, {
      port: 0,
      onError: (error, request) => failures.push({ error, request }),
    });
  });
  afterEach(() => server.close());

  const call = async (path: string, init: RequestInit): Promise<Answer> => {
    const response = await fetch(`${server.url}${path}`, init);
    return { status: response.status, body: (await response.json()) as AnswerBody, headers: response.headers };
  };
  return {
    get world() {
      return world;
    },
    get server() {
      return server;
    },
    get failures() {
      return failures;
    },
    get: (path) => call(path, {}),
    post: (path, body, headers = {}) =>
      call(path, {
        method: "POST",
        body: typeof body === "string" ? body : JSON.stringify(body),
        headers: { "content-type": "application/json", ...headers },
      }),
  };
}
