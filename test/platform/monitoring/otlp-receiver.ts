/** Takes metrics over OTLP as a collector does, and has what the last request said of each of their lines. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue: string };
}

interface Point {
  readonly attributes: readonly Attribute[];
  readonly startTimeUnixNano: string;
  readonly timeUnixNano: string;
  readonly asDouble?: number;
  readonly count?: number;
  readonly sum?: number;
  readonly bucketCounts?: readonly number[];
  readonly explicitBounds?: readonly number[];
}

interface SentMetric {
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  readonly sum?: {
    readonly aggregationTemporality: number;
    readonly isMonotonic: boolean;
    readonly dataPoints: Point[];
  };
  readonly gauge?: { readonly dataPoints: Point[] };
  readonly histogram?: { readonly aggregationTemporality: number; readonly dataPoints: Point[] };
}

export interface SentRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly resource: Readonly<Record<string, string>>;
  readonly metrics: readonly SentMetric[];
}

export class OtlpReceiver {
  readonly requests: SentRequest[] = [];
  /** What it answers. */
  status = 200;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const body = Buffer.concat(chunks);
        const text = request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
        this.requests.push(decoded(request.url!, request.headers, JSON.parse(text.toString("utf8"))));
        response.writeHead(this.status, { "content-type": "application/json" }).end("{}");
      });
    });
  }

  static async open(): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver();
    receiver.#server.listen(0, "127.0.0.1");
    await once(receiver.#server, "listening");
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function decoded(path: string, headers: SentRequest["headers"], body: unknown): SentRequest {
  const { resourceMetrics } = body as {
    resourceMetrics: {
      resource: { attributes: Attribute[] };
      scopeMetrics: { scope: { name: string }; metrics: SentMetric[] }[];
    }[];
  };
  const [first] = resourceMetrics;
  return {
    path,
    headers,
    resource: textsOf(first?.resource.attributes ?? []),
    metrics: resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics)),
  };
}

function textsOf(attributes: readonly Attribute[]): Record<string, string> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue]));
}

/** As the lines of a Prometheus page, `name{label="value"} number` without its comments, sorted. */
export function asPage({ metrics }: SentRequest): string[] {
  return metrics
    .flatMap((metric) => {
      const { name } = metric;
      const points = metric.sum?.dataPoints ?? metric.gauge?.dataPoints;
      if (points !== undefined) {
        return points.map(({ attributes, asDouble }) => lineOf(name, textsOf(attributes), asDouble!));
      }
      return metric.histogram!.dataPoints.flatMap(({ attributes, count, sum, bucketCounts, explicitBounds }) => {
        const labels = textsOf(attributes);
        let total = 0;
        const buckets = bucketCounts!.map((inBucket, i) => {
          total += inBucket;
          return lineOf(`${name}_bucket`, { le: String(explicitBounds![i] ?? "+Inf"), ...labels }, total);
        });
        return [...buckets, lineOf(`${name}_sum`, labels, sum!), lineOf(`${name}_count`, labels, count!)];
      });
    })
    .toSorted();
}

function lineOf(name: string, labels: Readonly<Record<string, string>>, value: number): string {
  const inside = Object.entries(labels)
    .map(([label, text]) => `${label}="${text}"`)
    .toSorted()
    .join(",");
  return `${name}${inside === "" ? "" : `{${inside}}`} ${value}`;
}
