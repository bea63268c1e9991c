/** A platform that builds training sets on request, with payments of a few users, and calls to its server. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ReplayClock } from "../../../src/base/clock.ts";
import { type Micros, parseMicros } from "../../../src/base/micros.ts";
import { count, entity, last, lastK, min, service, stream, sum, t, view } from "../../../src/index.ts";
import { openPlatform, type Platform } from "../../../src/platform.ts";
import type { TrainingJobsOptions } from "../../../src/platform/training-jobs/training-jobs.ts";
import type { HttpServer } from "../../../src/serve/http.ts";
import type { TrainingJob } from "../../../src/serve/training-desk.ts";
import { cliPath } from "../../cli/run-cli.ts";

const user = entity("user", { user_id: t.string() });
const payments = stream("payments", {
  columns: { user_id: t.string(), paid_at: t.timestamp(), amount: t.float64(), items: t.int64().nullable() },
  eventTime: "paid_at",
});
const spending = view("spending", {
  entity: user,
  source: payments,
  features: {
    payments_1h: count().over("1h"),
    amount: sum("amount"),
    last_items: last("items"),
    last_paid: last("paid_at"),
    amounts: lastK("amount", 2),
  },
});
const fraud = service("fraud", { features: [spending] });
const sums = view("sums", {
  entity: user,
  source: payments,
  features: { amount: sum("amount").over("30m"), smallest: min("amount") },
});
const churn = service("churn", { features: [spending.pick("payments_1h"), sums] });
const briefly = view("briefly", { entity: user, source: payments, ttl: "1m", features: { recent: sum("amount") } });
const brief = service("brief", { features: [briefly] });
export const definitions = [user, payments, spending, fraud, sums, churn, briefly, brief];

export const NOON: Micros = parseMicros("2026-03-01T12:00:00Z");

/** One label a user and minute of the hour that the payments fall in. */
export const LABELS = `user_id,t,is_fraud\n${["ada", "ben", "eve"]
  .flatMap((name) =>
    [5, 25, 45].map((minute) => `${name},2026-03-01T11:${String(minute).padStart(2, "0")}:30Z,${minute % 2}`),
  )
  .join("\n")}\n`;

export interface Answer {
  readonly status: number;
  readonly body: Record<string, any>;
}

export class JobsWorld {
  readonly folder: string;
  readonly clock: ReplayClock = new ReplayClock(NOON);
  platform!: Platform;
  server!: HttpServer;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async open(options: Partial<TrainingJobsOptions> = {}): Promise<JobsWorld> {
    const world = new JobsWorld(await mkdtemp(join(tmpdir(), "onefold-jobs-")));
    await mkdir(world.labelsFolder);
    await world.start(options);
    const rows = [3, 8, 20, 30, 44].flatMap((minute) =>
      ["ada", "ben"].map((name, i) => ({
        user_id: name,
        paid_at: `2026-03-01T11:${String(minute).padStart(2, "0")}:00Z`,
        amount: minute + 0.5,
        items: i === 0 ? minute : null,
      })),
    );
    // Known when they happened: pushed events would be known at noon.
    const file = join(world.folder, "payments.ndjson");
    await writeFile(
      file,
      rows.map((row) => `${JSON.stringify(row)}\n`),
    );
    await world.platform.importHistory("payments", [file]);
    return world;
  }

  get dataDir(): string {
    return join(this.folder, "data");
  }

  get labelsFolder(): string {
    return join(this.folder, "labels");
  }

  /** Opens the platform and its server, again after `stop`. */
  async start(options: Partial<TrainingJobsOptions> = {}): Promise<void> {
    const { clock, dataDir, labelsFolder } = this;
    const trainingJobs = { module: cliPath, arguments: ["train-job"], labelsFolder, ...options };
    this.platform = await openPlatform({ dataDir, clock, trainingJobs });
    await this.platform.apply(definitions);
    this.server = await this.platform.serve({ port: 0 });
  }

  async stop(): Promise<void> {
    await this.server.close();
    await this.platform.close();
  }

  async close(): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  async ask(method: string, path: string, body?: string | object, contentType = "application/json"): Promise<Answer> {
    const text = body === undefined || typeof body === "string" || body instanceof Uint8Array;
    const response = await fetch(`${this.server.url}${path}`, {
      method,
      ...(body === undefined
        ? {}
        : { body: text ? (body as string) : JSON.stringify(body), headers: { "content-type": contentType } }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, any> };
  }

  /** Starts a job with the labels as CSV; its id. */
  async begin(query = "service=fraud&boundary=inclusive", labels = LABELS): Promise<string> {
    const { status, body } = await this.ask("POST", `/training-sets?${query}`, labels, "text/csv");
    if (status !== 202) throw new Error(JSON.stringify(body));
    return body["id"] as string;
  }

  async job(id: string): Promise<TrainingJob> {
    return (await this.ask("GET", `/training-sets/${id}`)).body as unknown as TrainingJob;
  }

  /** The job once `isSo`; three minutes at most, which is much more than it takes. */
  async jobOnce(id: string, isSo: (job: TrainingJob) => boolean): Promise<TrainingJob> {
    for (const deadline = performance.now() + 180_000; performance.now() < deadline; await delay(50)) {
      const job = await this.job(id);
      if (isSo(job)) return job;
    }
    throw new Error(`training set ${id} did not get there: ${JSON.stringify(await this.job(id))}`);
  }

  ended(id: string): Promise<TrainingJob> {
    return this.jobOnce(id, ({ finished_at }) => finished_at !== null);
  }

  async download(id: string, format: string): Promise<Uint8Array> {
    const response = await fetch(`${this.server.url}/training-sets/${id}/download?format=${format}`);
    if (response.status !== 200) throw new Error(await response.text());
    return new Uint8Array(await response.arrayBuffer());
  }
}
