/** The process of `empty-server.ts`: says its port, and answers until it is killed. */
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { emptyAnswer } from "./empty-answer.ts";

const answer = emptyAnswer(Number(process.argv[2]));
const server = createServer({ noDelay: true }, (socket) => {
  // Each request of these loads comes in one piece.
  socket.on("data", () => socket.write(answer));
  socket.on("error", () => socket.destroy());
});
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
