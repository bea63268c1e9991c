/** Requests as the bytes that a client sends. */

export interface RequestParts {
  readonly method?: string;
  readonly target?: string;
  readonly version?: string;
  /** Lines after the request line, without Content-Length. */
  readonly headers?: readonly string[];
  readonly body?: string;
}

export function requestBytes(parts: RequestParts): Buffer {
  const { method = "POST", target = "/services/delay_model/vector", version = "HTTP/1.1", body } = parts;
  const { headers = ["Host: x", "Content-Type: application/json"] } = parts;
  const length = body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  return Buffer.from(`${[`${method} ${target} ${version}`, ...headers, ...length].join("\r\n")}\r\n\r\n${body ?? ""}`);
}

export const vectorBody = (airport: string, more: object = {}): string =>
  JSON.stringify({ entities: { airport, route: [airport, "Zürich"] }, ...more });

export const vectorRequest = (airport = "A1"): Buffer => requestBytes({ body: vectorBody(airport) });

export const getRequest = (target: string, headers: readonly string[] = ["Host: x"]): Buffer =>
  requestBytes({ method: "GET", target, headers });
