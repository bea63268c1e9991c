/**
 * What the client library throws, as an error of ours.
 */
import { messageOf, OnefoldError } from "../../base/errors.ts";

/** The error among those that this one collects that has a property of this value, or null. */
export type FindBy = (property: string, value: unknown) => unknown;

export function kafkaError(doing: string, error: unknown): OnefoldError {
  if (error instanceof OnefoldError) return error;
  const outOfRange = (error as { findBy?: FindBy }).findBy?.("apiId", "OFFSET_OUT_OF_RANGE") ?? null;
  if (outOfRange !== null) {
    return new OnefoldError("KAFKA_RECORDS_GONE", `${doing}: the broker no longer has records that were not read yet`, {
      hint: "see docs/kafka.md: keep records for longer than a worker may be away",
      cause: error,
    });
  }
  const cause = deepest(error);
  if ((cause as { code?: string }).code === "PLT_KFK_UNSUPPORTED_COMPRESSION") {
    return new OnefoldError("KAFKA_TOPIC_UNFIT", `${doing}: they are compressed with Zstandard`, {
      hint: "run workers on Node 22.15 or later, or have the topic compressed otherwise: compression.type=lz4",
      cause: error,
    });
  }
  return new OnefoldError("KAFKA_UNAVAILABLE", `${doing}: ${messageOf(cause)}`, { cause: error });
}

/** The first error below those that only collect others. */
function deepest(error: unknown): unknown {
  const { errors } = error as { errors?: readonly unknown[] };
  return errors !== undefined && errors.length > 0 ? deepest(errors.at(-1)) : error;
}
