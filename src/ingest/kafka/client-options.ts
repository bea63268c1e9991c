/** Settings in the words of the client library: which brokers, who asks, and how the connection is kept from others. */
import { readFileSync } from "node:fs";
import type { KafkaSasl, KafkaSettings } from "./settings.ts";

interface ClientOptions {
  readonly clientId: string;
  readonly bootstrapBrokers: string[];
  readonly tls?: {
    readonly rejectUnauthorized: true;
    readonly ca?: Buffer;
    readonly cert?: Buffer;
    readonly key?: Buffer;
  };
  readonly sasl?: KafkaSasl;
}

export function clientOptions({ brokers, clientId, tls, sasl }: KafkaSettings): ClientOptions {
  const file = (path: string): Buffer => readFileSync(path);
  return {
    clientId,
    bootstrapBrokers: [...brokers],
    ...(tls === undefined
      ? {}
      : {
          tls: {
            rejectUnauthorized: true,
            ...(tls.caFile === undefined ? {} : { ca: file(tls.caFile) }),
            ...(tls.certFile === undefined ? {} : { cert: file(tls.certFile) }),
            ...(tls.keyFile === undefined ? {} : { key: file(tls.keyFile) }),
          },
        }),
    ...(sasl === undefined ? {} : { sasl }),
  };
}
