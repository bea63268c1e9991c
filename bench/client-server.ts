/** The server of `bench/client.ts`, in a thread of its own: both doors over the same features. */
import { parentPort } from "node:worker_threads";
import { createFeatureReader } from "../src/serve/feature-reader.ts";
import { openHttpServer } from "../src/serve/http.ts";
import { openRespServer } from "../src/serve/resp/server.ts";
import { openServingPorts } from "./serving-ports.ts";

const ports = await openServingPorts();
const reader = createFeatureReader(ports);
const http = await openHttpServer(reader, ports, { port: 0 });
const resp = await openRespServer(reader, ports, "bench", { port: 0 });
parentPort!.postMessage({ http: http.url, resp: resp.url });
