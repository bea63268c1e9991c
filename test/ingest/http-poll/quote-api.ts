/**
 * A real HTTP API of quotes on 127.0.0.1, that gives its rows in several styles and misbehaves on demand: each request
 * takes the next fault, if there is one, before it is answered.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";

export interface Quote {
  readonly quote_id: string;
  readonly symbol: string;
  readonly price: number;
  /** Seconds since 1970. */
  readonly ts: number;
}

/** What a request meets instead of its answer, or in it. */
export type Fault =
  | { readonly kind: "status"; readonly status: number; readonly retryAfter?: string }
  | { readonly kind: "reset" }
  | { readonly kind: "hang" }
  | { readonly kind: "cut"; readonly chunked: boolean }
  | { readonly kind: "text"; readonly body: string | Buffer }
  | { readonly kind: "huge"; readonly gzip: boolean }
  | { readonly kind: "redirect"; readonly to: string; readonly status?: number }
  | { readonly kind: "gzip" };

/**
 * `list`: all rows, with an ETag. `since`: those from `since` on, inclusive, oldest first, `limit` of them.
 * `newest-first`: those from `since` on, newest first, in pages of a token. `numbered`: pages by number, oldest first.
 * `sequence`: behind `after`, with `next` and `has_more` in the answer. `linked`: as `newest-first`, by `Link`.
 */
export type Style = "list" | "since" | "newest-first" | "numbered" | "sequence" | "linked";

export class QuoteApi {
  readonly rows: Quote[] = [];
  readonly faults: Fault[] = [];
  /** What was asked, path and parameters, in order. */
  readonly asked: string[] = [];
  readonly headersAsked: IncomingMessage["headers"][] = [];
  style: Style = "list";
  limit = 5;
  /** Bytes that were sent in answers. */
  bytesSent = 0;
  readonly #server: Server;
  #url = "";

  constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  get url(): string {
    return this.#url;
  }

  async open(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.#url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/quotes`;
    return this;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.asked.push(request.url!);
    this.headersAsked.push(request.headers);
    const fault = this.faults.shift();
    switch (fault?.kind) {
      case "status":
        response.writeHead(fault.status, fault.retryAfter === undefined ? {} : { "retry-after": fault.retryAfter });
        // An API that repeats what it was sent.
        response.end(JSON.stringify({ error: "no", sent: request.headers, url: request.url }));
        return;
      case "reset":
        request.socket.resetAndDestroy();
        return;
      case "hang":
        return;
      case "redirect":
        response.writeHead(fault.status ?? 302, { location: fault.to }).end();
        return;
      case "text":
        response.end(fault.body);
        return;
      case "huge":
        this.#sendHuge(response, fault.gzip);
        return;
      default:
        this.#send(request, response, fault);
    }
  }

  #sendHuge(response: ServerResponse, gzip: boolean): void {
    if (gzip) {
      response.setHeader("content-encoding", "gzip");
      response.end(gzipSync(Buffer.alloc(64 * 1024 * 1024, " ")));
      return;
    }
    const chunk = Buffer.alloc(64 * 1024, " ");
    const more = (): void => {
      while (!response.destroyed) if (!response.write(chunk)) return void response.once("drain", more);
    };
    more();
  }

  #send(request: IncomingMessage, response: ServerResponse, fault: Fault | undefined): void {
    const url = new URL(request.url!, this.#url);
    const body = JSON.stringify(this.#bodyOf(url, response));
    if (this.style === "list") {
      const etag = `"${this.rows.length}"`;
      response.setHeader("etag", etag);
      if (request.headers["if-none-match"] === etag) {
        response.writeHead(304).end();
        return;
      }
    }
    if (fault?.kind === "cut") {
      if (!fault.chunked) response.setHeader("content-length", Buffer.byteLength(body));
      response.write(body.slice(0, Math.max(1, Math.floor(body.length / 2))), () => request.socket.destroy());
      return;
    }
    response.setHeader("content-type", "application/json");
    const bytes = fault?.kind === "gzip" ? gzipSync(body) : Buffer.from(body);
    if (fault?.kind === "gzip") response.setHeader("content-encoding", "gzip");
    this.bytesSent += bytes.length;
    response.end(bytes);
  }

  #bodyOf(url: URL, response: ServerResponse): unknown {
    const { limit, rows } = this;
    const param = (name: string): string | null => url.searchParams.get(name);
    const since = rows.filter((row) => row.ts >= Number(param("since") ?? 0));
    switch (this.style) {
      case "list":
        return rows;
      case "since":
        return { data: { items: since.slice(0, limit) } };
      case "newest-first":
      case "linked": {
        // Anchored at the row that the token names, so that rows which come meanwhile shift nothing.
        const below =
          param("page") === null ? since : since.slice(0, Number(param("page")) - rows.length + since.length);
        const page = below.slice(-limit).toReversed();
        const left = rows.length - since.length + below.length - page.length;
        const hasNext = below.length > page.length;
        if (this.style === "newest-first") return { items: page, next: hasNext ? String(left) : null };
        const next = new URL(url);
        next.searchParams.set("page", String(left));
        if (hasNext)
          response.setHeader(
            "link",
            `<${url.href}>; rel="self", <${next.pathname}${next.search}>; title="a, b"; rel="next"`,
          );
        return page;
      }
      case "numbered": {
        const page = Number(param("page")) - 1;
        return { items: rows.slice(page * limit, (page + 1) * limit) };
      }
      case "sequence": {
        const from = Number(param("after") ?? 0);
        const end = Math.min(from + limit, rows.length);
        return { items: rows.slice(from, end), next: end, has_more: end < rows.length };
      }
    }
  }
}

export function quote(n: number, parts: Partial<Quote> = {}): Quote {
  return {
    quote_id: `q${n}`,
    symbol: `S${n % 3}`,
    price: 10 + (n % 7),
    ts: 1_767_225_600 + Math.floor(n / 3),
    ...parts,
  };
}
