/** A small keep-alive HTTP client: what a model's own process would use to talk to the platform. */
import { Agent, request } from "node:http";

export class HttpClient {
  readonly #agent: Agent;
  readonly #url: string;

  /** `url` is the server's root, `connections` the most requests under way at once. */
  constructor(url: string, connections: number) {
    this.#url = url;
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  /** The parsed answer. Throws with the server's own words where the status is not among `expected`. */
  post<T>(
    path: string,
    body: string,
    contentType = "application/json",
    expected: readonly number[] = [200],
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const call = request(
        new URL(path, this.#url),
        {
          method: "POST",
          agent: this.#agent,
          headers: { "content-type": contentType, "content-length": Buffer.byteLength(body) },
        },
        (response) => {
          let text = "";
          response.setEncoding("utf8");
          response.on("data", (part: string) => (text += part));
          response.on("error", reject);
          response.on("end", () => {
            if (expected.includes(response.statusCode ?? 0)) resolve(JSON.parse(text) as T);
            else reject(new Error(`POST ${path}: ${response.statusCode} ${text.slice(0, 500)}`));
          });
        },
      );
      call.on("error", reject);
      call.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
