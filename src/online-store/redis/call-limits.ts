/** How long a call to Redis may take, and what is said where it failed. */
import { OnefoldError } from "../../base/errors.ts";
import type { RedisAddress } from "./redis-address.ts";

type Shown = Pick<RedisAddress, "shown" | "timeoutMs">;

/** `silent`: who of a cluster, and what was asked. */
export function storeTimeout({ shown, timeoutMs }: Shown, silent: string | null = null): OnefoldError {
  const who = silent === null ? "" : `: ${silent}`;
  return new OnefoldError("STORE_TIMEOUT", `the online store at ${shown} did not answer within ${timeoutMs} ms${who}`, {
    where: shown,
    hint: "see how busy it is (redis-cli --latency, SLOWLOG GET); timeout_ms in its address sets the limit",
  });
}

export function storeUnavailable({ shown }: Shown, why: string): OnefoldError {
  return new OnefoldError("STORE_UNAVAILABLE", `the online store at ${shown} cannot be used: ${why}`, {
    where: shown,
    hint: /^(?:MOVED|CROSSSLOT)\b/.test(why)
      ? "it is a node of a cluster: add ?cluster=yes to its address"
      : "see whether it runs, and its address, user and password; it is tried again all the time",
  });
}

/** What the call resolves to, or `STORE_TIMEOUT` once so much of the time limit has passed; the call goes on, and nobody hears of it. */
export function inTime<T>(call: Promise<T>, address: Shown, leftMs: number = address.timeoutMs): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(storeTimeout(address)), leftMs);
    const end = (): void => clearTimeout(timer);
    call.then(resolve, reject).finally(end);
  });
}
