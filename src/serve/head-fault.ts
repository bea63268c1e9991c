/**
 * What is wrong with the head of a request that `node:http` has read: what it would refuse with an answer of its own,
 * or lets pass though RFC 9112 does not. It is refused as everything else is.
 */
import type { IncomingMessage, Server } from "node:http";
import { OnefoldError } from "../base/errors.ts";

/** For `node:http`: nothing is refused before `headFault` has seen it. */
export const LOOKED_AT_HERE: { readonly requireHostHeader: false } = { requireHostHeader: false };

/** An expectation that is none of HTTP's comes to the routes as any other request, instead of being answered 417. */
export function takeExpectations(server: Server): void {
  server.on("checkExpectation", (request, response) => server.emit("request", request, response));
}

/** Null where there is nothing wrong. */
export function headFault({ httpVersion, headers, rawHeaders }: IncomingMessage): OnefoldError | null {
  const hosts = rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === "host").length;
  if (hosts > 1 || (hosts === 0 && httpVersion === "1.1")) {
    return new OnefoldError("REQUEST_INVALID", `a request has one Host header, not ${hosts}`, { where: "Host" });
  }
  const { expect, "content-encoding": encoding } = headers;
  if (encoding !== undefined && encoding !== "" && encoding.toLowerCase() !== "identity") {
    return new OnefoldError("BODY_ENCODED", `a body encoded as ${JSON.stringify(encoding)} is not read here`, {
      where: "Content-Encoding",
      hint: "send the body as it is, without Content-Encoding",
    });
  }
  if (expect === undefined || expect.toLowerCase() === "100-continue") return null;
  return new OnefoldError("REQUEST_INVALID", "100-continue is all that can be expected here", { where: "Expect" });
}
