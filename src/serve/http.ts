/**
 * The HTTP server: mounts the routes on Fastify, reads bodies within limits, and turns whatever is thrown
 * into `{error: {code, message, where, hint, candidates}}` with the code's status.
 */
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import { diagnostics } from "../base/diagnostics.ts";
import { asOnefoldError, isOnefoldError, OnefoldError } from "../base/errors.ts";
import { nearestNames } from "../base/nearest-names.ts";
import { parseJsonText, parseWideJson } from "../schema/json-text.ts";
import { type EventBody, parseEventBody } from "./event-body.ts";
import type { FeatureReader } from "./feature-reader.ts";
import type { ServePorts } from "./ports.ts";
import {
  BodyAllowance,
  bodyTooLarge,
  BytesUnderWay,
  EVENTS_BYTES_MAX,
  EVENTS_UNDER_WAY_BYTES_MAX,
  JSON_BYTES_MAX,
  readBody,
} from "./request-body.ts";
import type { Route, RouteAnswer } from "./route.ts";
import { allRoutes, methodsOfPath, routeName } from "./routes.ts";

/** `request` is method and path, without its query. */
export type OnServerError = (error: unknown, request: string) => void;

export interface HttpOptions {
  /** Default 127.0.0.1: whoever opens the server to a network does so on purpose. */
  readonly host?: string;
  /** Default 8080; 0 takes any free port. */
  readonly port?: number;
  /** Told of every error that is the server's own fault; the answer says no more than that there was one. */
  readonly onError?: OnServerError;
}

export interface HttpServer {
  readonly host: string;
  readonly port: number;
  /** `http://host:port`. */
  readonly url: string;
  /** Takes no new connections, lets requests under way finish, and resolves once all are closed. */
  close(): Promise<void>;
}

const REQUEST_MILLIS_MAX = 120_000;
/** A path segment holds a key of up to 1,024 bytes, each of which may be percent-encoded. */
const PARAM_LENGTH_MAX = 3 * 1024;

/** Throws `LISTEN_FAILED`. */
export async function openHttpServer(
  reader: FeatureReader,
  ports: ServePorts,
  options: HttpOptions = {},
): Promise<HttpServer> {
  const { host = "127.0.0.1", port = 8080 } = options;
  const app = createApp(allRoutes(reader, ports), options.onError ?? (() => {}));
  const close = closeGracefully(app);
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

/**
 * Closing ends each connection with its answer under way, and then those that have none: a keep-alive
 * connection, or one that never sent a request, would otherwise hold the server open until it times out.
 */
function closeGracefully(app: FastifyInstance): () => Promise<void> {
  let underWay = 0;
  let closing = false;
  app.addHook("onRequest", (_request, reply, done) => {
    underWay++;
    reply.raw.once("close", () => {
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

function createApp(routes: readonly Route[], onError: OnServerError): FastifyInstance {
  const app = fastify({
    logger: false,
    requestTimeout: REQUEST_MILLIS_MAX,
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
      // Questions are small and answered at once: they are read however many events wait.
      const allowance =
        route.reads === "events" ? new BodyAllowance(EVENTS_BYTES_MAX, eventBytes) : new BodyAllowance(JSON_BYTES_MAX);
      allowances.set(request, allowance);
      reply.raw.once("close", () => allowance.release());
    }
    done();
  });
  app.addContentTypeParser("*", (request: FastifyRequest, payload: Readable): Promise<string> => {
    const declared = request.headers["content-length"];
    const allowance = allowances.get(request) ?? new BodyAllowance(JSON_BYTES_MAX);
    return readBody(payload, allowance, declared === undefined ? undefined : Number(declared));
  });
  app.setErrorHandler((error: FastifyError, _request, reply) => sendError(reply, requestError(error), onError));
  app.setNotFoundHandler((request, reply) => sendError(reply, unknownRoute(routes, request, reply), onError));
  for (const route of routes) mount(app, route, onError);
  return app;
}

function mount(app: FastifyInstance, route: Route, onError: OnServerError): void {
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
        done();
      } catch (error) {
        done(error as Error);
      }
    },
    handler: (request, reply) => {
      const answer = route.handle({
        params: (request.params ?? {}) as Record<string, string>,
        query: request.query as Record<string, string>,
        body: request.body,
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
  const text = typeof request.body === "string" ? request.body : "";
  if (route.reads === "json") return parseJsonText(text, "body");
  if (route.reads === "wide-json") return parseWideJson(text, "body");
  const contentType = request.headers["content-type"] ?? "";
  const parsed: EventBody = parseEventBody(text, contentType);
  const isJson = parsed.single || (text.length > JSON_BYTES_MAX && text.trimStart()[0] === "[");
  if (isJson && text.length > JSON_BYTES_MAX) throw bodyTooLarge(text.length, JSON_BYTES_MAX);
  return parsed;
}

function sendAnswer(reply: FastifyReply, answer: RouteAnswer): FastifyReply {
  // Serialized first: a value that cannot be is the server's fault, not a half-written answer.
  const { contentType = "application/json; charset=utf-8" } = answer;
  const text = answer.contentType === undefined ? JSON.stringify(answer.body) : String(answer.body);
  if (answer.status >= 400) errorCodes.set(reply.request, (answer.body as { error: OnefoldError }).error.code);
  if (answer.status === 429 || answer.status === 503) reply.header("retry-after", "1");
  if (answer.headers !== undefined) reply.headers(answer.headers);
  return reply.code(answer.status).header("content-type", contentType).send(text);
}

function sendError(reply: FastifyReply, thrown: unknown, onError: OnServerError): FastifyReply {
  const error = asOnefoldError(thrown);
  if (error.status >= 500 && error.status !== 503) {
    onError(thrown, `${reply.request.method} ${reply.request.url.split("?", 1)[0]}`);
  }
  // What went wrong inside is for the operator, not for whoever sent the request.
  const shown = error.code === "INTERNAL" ? new OnefoldError("INTERNAL", "the server failed at this request") : error;
  return sendAnswer(reply, { status: error.status, body: { error: shown } });
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

/** Bytes that are not HTTP never become a request, so they are answered on the bare socket. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const timedOut = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
  const status = timedOut ? "408 Request Timeout" : "400 Bad Request";
  const what = timedOut ? "the request did not arrive in time" : "the bytes received are not an HTTP/1.1 request";
  const body = JSON.stringify({ error: new OnefoldError("REQUEST_INVALID", what) });
  const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json; charset=utf-8\r\nconnection: close\r\n`;
  socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}
