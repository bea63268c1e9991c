/**
 * The HTTP server: mounts the routes on Fastify, reads bodies within limits, and turns whatever is thrown
 * into `{error: {code, message, where, hint, candidates}}` with the code's status.
 */
import fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifySchemaCompiler,
} from "fastify";
import type { Readable } from "node:stream";
import { diagnostics } from "../base/diagnostics.ts";
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import { nearestNames } from "../base/nearest-names.ts";
import { parseJsonText, parseWideJson } from "../schema/json-text.ts";
import { type EventBody, parseEventBody } from "./event-body.ts";
import { whenOver } from "./exchange-end.ts";
import type { FeatureReader } from "./feature-reader.ts";
import { headFault, LOOKED_AT_HERE, takeExpectations } from "./head-fault.ts";
import { openFastDoor } from "./http-fast/fast-door.ts";
import { HotRoutes } from "./http-fast/hot-routes.ts";
import { labelFormatOf, LabelUpload } from "./label-upload.ts";
import type { ServePorts } from "./ports.ts";
import { answerClientError, noteRequest } from "./refuse-bytes.ts";
import {
  BodyAllowance,
  bodyTooLarge,
  BytesUnderWay,
  discard,
  EVENTS_BYTES_MAX,
  EVENTS_UNDER_WAY_BYTES_MAX,
  JSON_BYTES_MAX,
  QUESTIONS_UNDER_WAY_BYTES_MAX,
  readBody,
} from "./request-body.ts";
import { CONSUMER_HEADER, type Route, type RouteAnswer, type WireAnswer } from "./route.ts";
import type { LabelFormat } from "./training-desk.ts";
import { allRoutes, methodsOfPath, routeName } from "./routes.ts";
import { tellOnDemandFailures } from "./on-demand-failures.ts";
import { type OnServerError, wireAnswer, wireError } from "./wire-answer.ts";

export interface HttpOptions {
  /** Default 127.0.0.1: whoever opens the server to a network does so on purpose. */
  readonly host?: string;
  /** Default 8080; 0 takes any free port. */
  readonly port?: number;
  /**
   * Told of every error that is the server's own fault; the answer says no more than that there was one. Of what an
   * on-demand view throws it is told once a minute for each message.
   */
  readonly onError?: OnServerError;
  /** Answers plain requests for feature vectors without the HTTP framework. Default true; answers are the same. */
  readonly hotPath?: boolean;
  /** Connections at a time; those past it are closed as they come. Default 10,000. */
  readonly connectionsMax?: number;
  readonly timeouts?: HttpTimeouts;
}

/** How long a client may take; past it the connection is closed, with a 408 where a request had begun. */
export interface HttpTimeouts {
  /** For the head of a request. Default 60 s. */
  readonly headersMillis?: number;
  /** For a whole request. Default 120 s. */
  readonly requestMillis?: number;
  /** Between an answer and the next request. Default 72 s. */
  readonly idleMillis?: number;
}

export interface HttpServer {
  readonly host: string;
  readonly port: number;
  /** `http://host:port`. */
  readonly url: string;
  /** Takes no new connections, lets requests under way finish, and resolves once all are closed. */
  close(): Promise<void>;
}

const HEADERS_MILLIS_MAX = 60_000;
const REQUEST_MILLIS_MAX = 120_000;
const IDLE_MILLIS_MAX = 72_000;
/** How often time-outs are looked at. */
const TIMEOUT_CHECK_MILLIS = 1000;
const CONNECTIONS_MAX = 10_000;
/** A path segment holds a key of up to 1,024 bytes, each of which may be percent-encoded. */
const PARAM_LENGTH_MAX = 3 * 1024;

/** Throws `LISTEN_FAILED`. */
export async function openHttpServer(
  reader: FeatureReader,
  ports: ServePorts,
  options: HttpOptions = {},
): Promise<HttpServer> {
  const { host = "127.0.0.1", port = 8080, onError = () => {} } = options;
  const routes = allRoutes(reader, ports);
  const stopTelling = tellOnDemandFailures(ports.clock, (error) => onError(error, "any request for a vector"));
  const questionBytes = new BytesUnderWay(QUESTIONS_UNDER_WAY_BYTES_MAX);
  const app = createApp({ routes, onError, timeouts: options.timeouts ?? {}, questionBytes });
  app.server.maxConnections = options.connectionsMax ?? CONNECTIONS_MAX;
  const closeOrdinary = closeGracefully(app);
  await app.ready();
  const door =
    options.hotPath === false ? null : openFastDoor(app.server, hotRoutes(app, routes), onError, questionBytes);
  const close = (): Promise<void> => {
    stopTelling();
    const closed = closeOrdinary();
    door?.close();
    return closed;
  };
  try {
    await app.listen({ host, port });
  } catch (cause) {
    await close();
    throw new OnefoldError("LISTEN_FAILED", `cannot listen on ${host}:${port}: ${(cause as Error).message}`, {
      hint: "choose another port, or stop what listens there",
      cause,
    });
  }
  const address = app.server.address();
  const actualPort = typeof address === "object" && address !== null ? address.port : port;
  const shownHost = host.includes(":") ? `[${host}]` : host;
  return { host, port: actualPort, url: `http://${shownHost}:${actualPort}`, close };
}

/** The fast door refuses by the validators that the routes' own requests go through. */
function hotRoutes(app: FastifyInstance, routes: readonly Route[]): HotRoutes {
  return new HotRoutes(routes, (schema, { method, path }, httpPart) => {
    const validate = app.validatorCompiler!({ schema, method, url: path, httpPart });
    return (value) => validate(value) === true;
  });
}

/**
 * Closing ends each connection with its answer under way, and then those that have none: a keep-alive
 * connection, or one that never sent a request, would otherwise hold the server open until it times out.
 */
function closeGracefully(app: FastifyInstance): () => Promise<void> {
  let underWay = 0;
  let closing = false;
  app.addHook("onRequest", (request, reply, done) => {
    underWay++;
    whenOver(request.raw.socket, reply.raw, () => {
      underWay--;
      if (closing && underWay === 0) app.server.closeAllConnections();
    });
    done();
  });
  app.addHook("onSend", (_request, reply, _payload, done) => {
    if (closing) reply.header("connection", "close");
    done();
  });
  return async () => {
    closing = true;
    const closed = app.close();
    if (underWay === 0) app.server.closeAllConnections();
    await closed;
  };
}

interface AppOptions {
  readonly routes: readonly Route[];
  readonly onError: OnServerError;
  readonly timeouts: HttpTimeouts;
  readonly questionBytes: BytesUnderWay;
}

function createApp({ routes, onError, timeouts, questionBytes }: AppOptions): FastifyInstance {
  const { headersMillis = HEADERS_MILLIS_MAX, requestMillis = REQUEST_MILLIS_MAX } = timeouts;
  const app = fastify({
    logger: false,
    http: { ...LOOKED_AT_HERE, headersTimeout: headersMillis, connectionsCheckingInterval: TIMEOUT_CHECK_MILLIS },
    requestTimeout: requestMillis,
    keepAliveTimeout: timeouts.idleMillis ?? IDLE_MILLIS_MAX,
    // Requests that arrive while closing are still answered; their connections end with them.
    return503OnClosing: false,
    forceCloseConnections: "idle",
    routerOptions: { maxParamLength: PARAM_LENGTH_MAX },
    ajv: {
      // Nothing is coerced or taken out: what a caller sends is right or refused.
      customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, allowUnionTypes: true },
    },
    frameworkErrors: (error, _request, reply) => sendError(reply, requestError(error), onError),
    clientErrorHandler: answerClientError,
  });
  takeExpectations(app.server);
  // Of all requests: hooks are not told of those whose address the framework cannot read.
  app.server.prependListener("request", noteRequest);
  app.addHook("onRequest", (request, _reply, done) => done(headFault(request.raw) ?? undefined));
  app.addHook("onResponse", (request, reply, done) => {
    if (diagnostics.answered.hasSubscribers) {
      diagnostics.answered.publish({
        method: request.method,
        route: routeOf(request)?.path ?? "unknown",
        status: reply.statusCode,
        code: errorCodes.get(request) ?? null,
        durationMs: reply.elapsedTime,
      });
    }
    done();
  });
  app.removeAllContentTypeParsers();
  const eventBytes = new BytesUnderWay(EVENTS_UNDER_WAY_BYTES_MAX);
  app.addHook("onRequest", (request, reply, done) => {
    const route = routeOf(request);
    if (route !== undefined && route.reads !== "nothing") {
      // Questions are answered at once: they are read however many events wait.
      const allowance =
        route.reads === "events"
          ? new BodyAllowance(EVENTS_BYTES_MAX, eventBytes)
          : new BodyAllowance(JSON_BYTES_MAX, questionBytes);
      allowances.set(request, allowance);
      whenOver(request.raw.socket, reply.raw, () => allowance.release());
    }
    done();
  });
  app.addContentTypeParser("*", async (request: FastifyRequest, payload: Readable): Promise<string | LabelUpload> => {
    const { "content-length": length, "content-type": contentType = "" } = request.headers;
    const declaredBytes = length === undefined ? undefined : Number(length);
    const isLabels = routeOf(request)?.reads === "labels";
    const labels = isLabels ? await labelFormat(contentType, payload, declaredBytes) : null;
    if (labels !== null) return new LabelUpload(labels, payload, declaredBytes);
    return readBody(payload, allowances.get(request) ?? new BodyAllowance(JSON_BYTES_MAX), declaredBytes);
  });
  app.setErrorHandler((error: FastifyError, _request, reply) => sendError(reply, requestError(error), onError));
  app.setNotFoundHandler((request, reply) => sendError(reply, unknownRoute(routes, request, reply), onError));
  const closing = new AbortController();
  app.addHook("preClose", (done) => {
    closing.abort();
    done();
  });
  for (const route of routes) mount(app, route, onError, closing.signal);
  return app;
}

function mount(app: FastifyInstance, route: Route, onError: OnServerError, closing: AbortSignal): void {
  const { params, query, body } = route.schemas;
  app.route({
    method: route.method,
    url: route.path.replace(/\{(\w+)\}/g, ":$1"),
    config: { onefoldRoute: route },
    schema: {
      ...(params === undefined ? {} : { params }),
      ...(query === undefined ? {} : { querystring: query }),
      ...(body === undefined ? {} : { body }),
    },
    preValidation: (request, _reply, done) => {
      try {
        if (route.reads !== "nothing") request.body = parseBody(route, request);
        route.lookUp?.((request.params ?? {}) as Record<string, string>);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
    ...(route.reads === "labels" ? { validatorCompiler: uploadsAsTheyAre(app) } : {}),
    handler: (request, reply) => {
      const answer = route.handle({
        params: (request.params ?? {}) as Record<string, string>,
        query: request.query as Record<string, string>,
        body: request.body,
        consumer: String(request.headers[CONSUMER_HEADER] ?? ""),
        ended: closing,
      });
      if (!(answer instanceof Promise)) return sendAnswer(reply, answer);
      const allowance = allowances.get(request);
      allowance?.hold();
      return answer
        .finally(() => allowance?.release())
        .then(
          (settled) => sendAnswer(reply, settled),
          (error: unknown) => sendError(reply, error, onError),
        );
    },
  });
}

/** Throws `REQUEST_INVALID`, once the client has had its chance to send what is not read. */
async function labelFormat(type: string, body: Readable, declaredBytes?: number): Promise<LabelFormat | null> {
  try {
    return labelFormatOf(type);
  } catch (error) {
    await discard(body, declaredBytes);
    throw error;
  }
}

/** A file of label rows has no schema; all else is checked as everywhere. */
function uploadsAsTheyAre(app: FastifyInstance): FastifySchemaCompiler<unknown> {
  return (part) => {
    const validate = app.validatorCompiler!(part) as unknown as ((value: unknown) => boolean) & { errors: Error };
    return (value: unknown) => (value instanceof LabelUpload || validate(value) ? true : { error: validate.errors });
  };
}

/** Of requests that were answered with an error. */
const errorCodes = new WeakMap<FastifyRequest, string>();

/** What each request's body may take and has taken. */
const allowances = new WeakMap<FastifyRequest, BodyAllowance>();

function routeOf(request: FastifyRequest): Route | undefined {
  return (request.routeOptions.config as { onefoldRoute?: Route }).onefoldRoute;
}

function parseBody(route: Route, request: FastifyRequest): unknown {
  const encoding = request.headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity") {
    throw new OnefoldError("REQUEST_INVALID", `bodies with content-encoding ${encoding} are not read`, {
      hint: "send the body as it is",
    });
  }
  if (request.body instanceof LabelUpload) return request.body;
  const text = typeof request.body === "string" ? request.body : "";
  if (route.reads === "json") return parseJsonText(text, "body");
  if (route.reads === "wide-json" || route.reads === "labels") return parseWideJson(text, "body");
  const contentType = request.headers["content-type"] ?? "";
  const parsed: EventBody = parseEventBody(text, contentType);
  const isJson = parsed.single || (text.length > JSON_BYTES_MAX && text.trimStart()[0] === "[");
  if (isJson && text.length > JSON_BYTES_MAX) throw bodyTooLarge(text.length, JSON_BYTES_MAX);
  return parsed;
}

function sendAnswer(reply: FastifyReply, answer: RouteAnswer): FastifyReply {
  const { stream, status, headers = {}, contentType } = answer;
  if (stream === undefined) return send(reply, wireAnswer(answer));
  return reply.headers(headers).code(status).header("content-type", contentType).send(stream);
}

function sendError(reply: FastifyReply, thrown: unknown, onError: OnServerError): FastifyReply {
  const { method, url } = reply.request;
  return send(reply, wireError(thrown, onError, `${method} ${url.split("?", 1)[0]}`));
}

function send(reply: FastifyReply, answer: WireAnswer): FastifyReply {
  const { status, headers, contentType, text, encoded, code } = answer;
  if (code !== null) errorCodes.set(reply.request, code);
  return reply
    .headers(headers)
    .code(status)
    .header("content-type", contentType)
    .send(encoded?.bytes ?? text);
}

/** Fastify's own refusals under the platform's codes. */
function requestError(error: FastifyError): unknown {
  if (isOnefoldError(error)) return error;
  const [fault] = error.validation ?? [];
  if (fault !== undefined) {
    const where = `${error.validationContext ?? "request"}${fault.instancePath}`;
    const { additionalProperty, allowedValues } = fault.params as {
      additionalProperty?: string;
      allowedValues?: unknown[];
    };
    const what =
      additionalProperty === undefined ? (fault.message ?? "is invalid") : `has no field "${additionalProperty}"`;
    const hint = allowedValues === undefined ? {} : { hint: `one of ${JSON.stringify(allowedValues)}` };
    return new OnefoldError("REQUEST_INVALID", `${where} ${what}`, { where, ...hint });
  }
  if (error.statusCode !== undefined && error.statusCode < 500) {
    return new OnefoldError("REQUEST_INVALID", error.message, { cause: error });
  }
  return error;
}

function unknownRoute(routes: readonly Route[], request: FastifyRequest, reply: FastifyReply): OnefoldError {
  const path = request.url.split("?", 1)[0]!;
  const methods = methodsOfPath(routes, path);
  if (methods.length > 0) {
    reply.header("allow", methods.join(", "));
    return new OnefoldError("METHOD_NOT_ALLOWED", `${request.method} is not allowed on ${path}`, {
      hint: `use ${methods.join(" or ")}`,
    });
  }
  const asked = `${request.method} ${path}`.slice(0, 200);
  return new OnefoldError("ROUTE_UNKNOWN", `there is no route ${asked}`, {
    hint: "docs/http.md lists the routes",
    candidates: nearestNames(asked, routes.map(routeName)),
  });
}
