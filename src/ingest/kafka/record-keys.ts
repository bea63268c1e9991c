/**
 * A key for each record of an internal topic, which no other has: by it alone one record can be taken out of the topic. Kafka
 * drops a record where one with its key comes later, and keeps the places of all others, once it is told to compact the topic.
 *
 * The key says nothing of the event. Which partition a record goes to is said when it is appended, by its entity's key.
 */
import { randomBytes } from "node:crypto";

const PREFIX = "of1.";
const PROCESS_BYTES = 15;

export class RecordKeys {
  readonly #start = `${PREFIX}${randomBytes(PROCESS_BYTES).toString("base64url")}.`;
  #count = 0;

  next(): Buffer {
    return Buffer.from(this.#start + (this.#count++).toString(36));
  }
}

/** False for keys of an earlier version, which name entities and ids. */
export function isRecordKey(key: Buffer | null): key is Buffer {
  return key !== null && /^of1\.[\w-]{20}\.[0-9a-z]+$/.test(key.toString("latin1"));
}
