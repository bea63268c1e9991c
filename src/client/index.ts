/**
 * `onefold/client`: feature vectors and events from a running server, typed by the definitions.
 */
export { ERROR_CODES, type ErrorCode, isOnefoldError, OnefoldError } from "../base/errors.ts";
export { type EntitiesOf, type FeaturesOf, type RequestDataOf, type RowOf } from "./answered.ts";
export {
  type CallOptions,
  type ClientOptions,
  createClient,
  type OnefoldClient,
  type PushCallOptions,
  type TypedVector,
  type VectorArguments,
  type VectorCallOptions,
  type VectorMetadata,
} from "./client.ts";
export { type PushAnswer } from "./transport.ts";
