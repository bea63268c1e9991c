/**
 * `hashBucket` and `cross`: the bucket that a fixed hash puts a value, or the list of several, in. Each value
 * of a list goes into the hash with its type and length, so that no two lists run together.
 */
import { valueHash } from "../../fold/value-hash.ts";
import { type Apply, type Operation, unfitted } from "./operation.ts";

export const hashBucket: Operation<"hashBucket", null> = unfitted(({ buckets }) => intoBuckets(buckets));

export const cross: Operation<"cross", null> = unfitted(({ buckets }) => intoBuckets(buckets));

function intoBuckets(buckets: number): Apply {
  return (value) => valueHash(value) % buckets;
}
