/**
 * One error class and one closed list of codes. Every code stands in `docs/errors.md` with what it
 * means and what to do; a test holds that page and this list together.
 */
import { isDiskFull } from "./disk-full.ts";

/** HTTP status and one-line meaning of every code. The order is the order of `docs/errors.md`. */
export const ERROR_CODES = {
  // values and times at the doors
  TIME_INVALID: { status: 400, meaning: "a time is not ISO 8601 or not whole microseconds" },
  DURATION_INVALID: { status: 400, meaning: "a duration is not a whole number and a unit" },
  TYPE_MISMATCH: { status: 400, meaning: "a value does not have its column's type" },
  NULL_NOT_ALLOWED: { status: 400, meaning: "a column that is not nullable is null or missing" },
  INT64_UNSAFE: { status: 400, meaning: "an int64 lies outside -(2^53-1)..2^53-1" },
  NUMBER_NOT_FINITE: { status: 400, meaning: "a number is NaN or infinite and its source does not allow that" },
  KEY_MISSING: { status: 400, meaning: "an entity key column is null or missing" },
  KEY_TOO_LONG: { status: 400, meaning: "an entity key is longer than 1,024 bytes as text" },
  COLUMN_UNKNOWN: { status: 400, meaning: "a row has a column that its source does not declare" },
  JSON_INVALID: { status: 400, meaning: "a body or a line is not valid JSON" },
  REQUEST_INVALID: { status: 400, meaning: "a request lacks a field or has one of a wrong shape" },
  BODY_TOO_LARGE: { status: 413, meaning: "a request body is larger than the limit" },
  BODY_ENCODED: { status: 415, meaning: "a request body is compressed, or encoded in another way" },
  // events
  EVENT_TOO_FAR_AHEAD: { status: 400, meaning: "an event's time lies more than maxFuture ahead of the clock" },
  CONSTRAINT_FAILED: { status: 400, meaning: "a row fails a constraint that its source declares" },
  EXPECTATION_FAILED: { status: 400, meaning: "a row does not meet an expectation that refuses such rows" },
  PUSH_BLOCKED: {
    status: 422,
    meaning: "a row of a push, or of an import, does not meet an expectation that blocks it",
  },
  ROWS_REJECTED: { status: 422, meaning: "every row of a push was rejected; each row's outcome says why" },
  EVENT_POISON: { status: 422, meaning: "a predicate or custom function threw while folding the event" },
  EVENT_UNKNOWN: { status: 404, meaning: "a correction names an event that is not there, or was taken back" },
  CORRECTION_REFUSED: { status: 409, meaning: "a record of a Kafka topic would take back events, and cannot" },
  FORGET_SHARED: { status: 409, meaning: "events of an entity that is to be forgotten are folded for others, too" },
  FORGET_UNFINISHED: { status: 504, meaning: "an entity is forgotten in part: the rest has not come about in time" },
  FORGET_UNREADABLE: { status: 500, meaning: "the note of which entity is being forgotten cannot be read" },
  BACKPRESSURE: { status: 429, meaning: "more arrives at once than can be taken in: events, bodies, work" },
  BATCH_SOURCE_FAILED: { status: 502, meaning: "what a batch source is read from cannot be read" },
  SOURCE_IS_BATCH: { status: 409, meaning: "a batch source takes no pushed events" },
  IMPORT_REPEATED: { status: 409, meaning: "a file of events without ids was imported before" },
  POLL_REFUSED: { status: 502, meaning: "a polled API answers with an error, or redirects elsewhere" },
  POLL_ANSWER_INVALID: { status: 502, meaning: "the answer of a polled API is not what its source says it is" },
  POLL_SECRET_MISSING: { status: 500, meaning: "an environment variable that a poll sends is not set, or unfit" },
  HISTORY_AFTER_LIVE: { status: 409, meaning: "imported history is known later than the first live event" },
  // definitions and the registry
  DEFINITION_INVALID: { status: 400, meaning: "a definition contradicts itself or names what is not there" },
  DEFINITION_CHANGED: { status: 409, meaning: "a registered version would change its meaning" },
  DEFINITION_UNREADABLE: { status: 400, meaning: "a definitions file cannot be bundled or run" },
  DEFINITION_IMPURE: { status: 400, meaning: "a definition's function is not pure, and --strict was given" },
  PLAN_STALE: {
    status: 409,
    meaning: "a plan is applied over another registry, or of other definitions, than it was made of",
  },
  APPROVAL_REQUIRED: { status: 409, meaning: "an apply would break what is in use, and nobody approved it" },
  FINGERPRINT_MISMATCH: { status: 409, meaning: "loaded code does not match the registered fingerprint" },
  DEFINITION_UNKNOWN: { status: 404, meaning: "nothing of this name is registered" },
  ENTITY_UNKNOWN: { status: 404, meaning: "no entity of this name is registered" },
  SOURCE_UNKNOWN: { status: 404, meaning: "no source of this name is registered" },
  PUSH_SOURCE_UNKNOWN: { status: 422, meaning: "rows were pushed, in Feast's way, to a source that is not registered" },
  VIEW_UNKNOWN: { status: 404, meaning: "no view of this name and version is registered" },
  SERVICE_UNKNOWN: { status: 404, meaning: "no service of this name is registered" },
  EXPERIMENT_UNKNOWN: { status: 404, meaning: "no experiment of this name is registered" },
  EXPERIMENT_BACKWARD: { status: 409, meaning: "a step of an experiment would move units back" },
  EXPERIMENT_STOPPED: { status: 409, meaning: "a step is asked of an experiment that was stopped" },
  ALIAS_UNKNOWN: { status: 404, meaning: "a view or a service has no alias of this name" },
  ALIAS_MOVED: { status: 409, meaning: "an alias names another version than the one it was to be moved from" },
  STILL_READ: { status: 409, meaning: "a version that is to be retired is still read, or kept" },
  ALIAS_HAS_NO_FORMER: { status: 409, meaning: "an alias is to go back and has nowhere to go back to" },
  FEATURE_UNKNOWN: { status: 404, meaning: "no feature of this name is registered for the entity" },
  FEATURE_NOT_ONLINE: { status: 409, meaning: "a feature is declared not to be served" },
  FEATURE_NOT_NUMERIC: { status: 409, meaning: "a packed vector is asked for, and a feature of it is no number" },
  FEATURE_AMBIGUOUS: { status: 409, meaning: "several views of the entity have a feature of this name" },
  ROUTE_UNKNOWN: { status: 404, meaning: "the server has no such route" },
  METHOD_NOT_ALLOWED: { status: 405, meaning: "the route exists, but not for this HTTP method" },
  LISTEN_FAILED: { status: 500, meaning: "the server cannot listen on its address" },
  // reading
  CLOCK_BEHIND: { status: 503, meaning: "this machine's clock is behind the events it has folded" },
  NOT_READY: { status: 503, meaning: "the server is still loading or rebuilding" },
  ON_DEMAND_FAILED: { status: 500, meaning: "the function of an on-demand view threw" },
  ON_DEMAND_OUTPUT_INVALID: { status: 500, meaning: "an on-demand view gave a value that is not of its output's type" },
  ON_DEMAND_INPUT_ERROR: { status: 500, meaning: "an input of an on-demand view is itself an error" },
  TOKEN_INVALID: { status: 400, meaning: "a vector token cannot be read" },
  SERVICE_NOT_FITTED: { status: 409, meaning: "a service's transformations have not been fitted to data" },
  FIT_UNKNOWN: { status: 404, meaning: "a service has no fit of this version" },
  TRANSFORMATION_FAILED: { status: 422, meaning: "a transformation has no finite value, or none for a category" },
  FIT_IMPOSSIBLE: { status: 422, meaning: "a transformation has no values to be fitted to" },
  WORKERS_FAILED: { status: 503, meaning: "a server's worker processes cannot be started, or end again and again" },
  // calling a server
  SERVER_UNREACHABLE: { status: 503, meaning: "no server answers at the address" },
  ACCESS_DENIED: { status: 401, meaning: "the server asks for a password, or for another one than was given" },
  CALL_TIMED_OUT: { status: 504, meaning: "a call was not answered in time" },
  // storage
  REGISTRY_CORRUPT: { status: 500, meaning: "the registry's file is damaged or of another format" },
  REGISTRY_UNREACHABLE: { status: 503, meaning: "the database that holds the registry cannot be reached" },
  REGISTRY_DENIED: { status: 500, meaning: "the database that holds the registry refuses its user" },
  REGISTRY_TOO_NEW: {
    status: 500,
    meaning: "a newer version of Onefold made the registry's tables, or wrote what is registered",
  },
  REGISTRY_MISMATCH: { status: 409, meaning: "a data folder's states are of another registry than the one named" },
  FIT_CORRUPT: { status: 500, meaning: "a stored fit is damaged or of another format" },
  STATE_CODEC: { status: 500, meaning: "stored state cannot be decoded by this version" },
  LOG_CORRUPT: { status: 500, meaning: "the event log is damaged before its end" },
  DATA_FOLDER_MISSING: { status: 404, meaning: "there is no data folder at this path" },
  DATA_FOLDER_FORMAT: { status: 500, meaning: "a data folder is of a format that this version does not read" },
  STORAGE_LOCKED: { status: 409, meaning: "another process owns this data folder" },
  SPILL_FULL: { status: 507, meaning: "work fits neither into its memory nor into its folder for spilled data" },
  ENGINE_ENDED: { status: 500, meaning: "the process that scans and sorts events ended before its work did" },
  STORAGE_FAILED: { status: 500, meaning: "a write to disk failed" },
  DISK_FULL: { status: 507, meaning: "there is no room left on the disk" },
  STORE_UNAVAILABLE: { status: 503, meaning: "the online store on another machine cannot be used" },
  STORE_FORMAT: {
    status: 503,
    meaning: "the online store on another machine is of a format that this version does not read",
  },
  STORE_TIMEOUT: { status: 503, meaning: "the online store on another machine did not answer in time" },
  TABLE_CONFLICT: { status: 409, meaning: "another writer committed this table version first" },
  TABLE_UNKNOWN: { status: 404, meaning: "there is no offline table of this name" },
  TABLE_VERSION_UNKNOWN: { status: 404, meaning: "an offline table has no such version" },
  TABLE_VERSION_GONE: { status: 410, meaning: "files of an offline table's version were removed by vacuum" },
  TABLE_INVALID: {
    status: 500,
    meaning:
      "an offline table's log cannot be read, or an event table has a file that another engine wrote, or lacks files",
  },
  // monitoring
  VALUES_MISSING: { status: 404, meaning: "there are no values that a drift report could compare" },
  // Kafka
  KAFKA_UNAVAILABLE: { status: 503, meaning: "Kafka does not answer, or refuses what it is asked" },
  KAFKA_RECORDS_GONE: { status: 500, meaning: "a Kafka topic has dropped records before they were read" },
  KAFKA_TOPIC_UNFIT: { status: 409, meaning: "a Kafka topic is missing or cannot be used as the definitions say" },
  // training and audit
  SPINE_INVALID: {
    status: 400,
    meaning: "the label rows lack a column, have one twice, or hold a value that cannot be used",
  },
  SPINE_AMBIGUOUS_TIME: { status: 409, meaning: "label times coincide with events: choose --inclusive or --exclusive" },
  SPINE_AFTER_LOG: { status: 409, meaning: "label times lie after the end of the offline log" },
  FILE_UNREADABLE: { status: 400, meaning: "a file is missing, of an unknown format or damaged" },
  FILE_COLUMN_MISSING: { status: 400, meaning: "an imported file lacks a column that its source needs" },
  TRAINING_SET_UNKNOWN: { status: 404, meaning: "there is no training set of this id, or it was removed" },
  TRAINING_SET_NOT_DONE: { status: 409, meaning: "a training set that is not done has no file to be downloaded" },
  TRAINING_SET_EXISTS: { status: 409, meaning: "a training set was to be started under the id of another" },
  TRAINING_NOT_OFFERED: { status: 409, meaning: "this server builds no training sets" },
  TRAINING_INTERRUPTED: { status: 500, meaning: "the process that built a training set ended before its work did" },
  // alerts
  ALERTS_NOT_OFFERED: { status: 409, meaning: "this server judges no alerts" },
  SILENCE_UNKNOWN: { status: 404, meaning: "no silence has this id, or it is over" },
  DELIVERY_FAILED: { status: 502, meaning: "a destination did not take a notice" },
  PATH_NOT_ALLOWED: { status: 403, meaning: "a path on the server lies outside the folder that it may be read from" },
  EPOCH_UNKNOWN: { status: 404, meaning: "a token names an epoch this data folder does not have" },
  CANCELLED: { status: 499, meaning: "the work was cancelled" },
  INTERNAL: { status: 500, meaning: "a defect of the platform itself" },
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface ErrorDetails {
  /** Where it happened: a file and line, a column, a row number, a name. */
  readonly where?: string;
  /** What to do about it. */
  readonly hint?: string;
  /** Names close to an unknown one, or the possible meanings of an ambiguous one. */
  readonly candidates?: readonly string[];
  readonly cause?: unknown;
}

/** The only error the platform throws on purpose: a code, what happened, where, and what to do. */
export class OnefoldError extends Error {
  readonly code: ErrorCode;
  readonly where: string | undefined;
  readonly hint: string | undefined;
  readonly candidates: readonly string[] | undefined;

  constructor(code: ErrorCode, what: string, details: ErrorDetails = {}) {
    super(what, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "OnefoldError";
    this.code = code;
    this.where = details.where;
    this.hint = details.hint;
    this.candidates = details.candidates;
  }

  get status(): number {
    return ERROR_CODES[this.code].status;
  }

  /** The wire form: what every HTTP error body and every `--json` failure carries. */
  toJSON(): Record<string, unknown> {
    return {
      code: this.code,
      message: this.message,
      ...(this.where === undefined ? {} : { where: this.where }),
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...(this.candidates === undefined ? {} : { candidates: this.candidates }),
    };
  }
}

export function isOnefoldError(error: unknown): error is OnefoldError {
  return error instanceof OnefoldError;
}

/** Wraps anything thrown as an `OnefoldError`; one that already is comes back as it is. */
export function asOnefoldError(error: unknown): OnefoldError {
  if (isOnefoldError(error)) return error;
  if (!isDiskFull(error)) return new OnefoldError("INTERNAL", messageOf(error), { cause: error });
  return new OnefoldError("DISK_FULL", messageOf(error), { hint: MAKE_ROOM, cause: error });
}

/** What to do where there is none on a disk that somebody writes to once. */
export const MAKE_ROOM = "make room on the disk, or write to another, and run it again";

const MESSAGE_CHARACTERS_MAX = 2000;

/** What anything thrown says, cut to some length. Never throws, whatever users' code may throw. */
export function messageOf(thrown: unknown): string {
  try {
    const message: unknown = thrown instanceof Error ? thrown.message : thrown;
    return String(message).slice(0, MESSAGE_CHARACTERS_MAX);
  } catch {
    return "something was thrown that has no text";
  }
}
