/** A worker that asks for a listening port and says that it serves, in one turn, and never gets another. */
import { createServer } from "node:net";

createServer().listen(0);
process.send({ kind: "warm" });
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
