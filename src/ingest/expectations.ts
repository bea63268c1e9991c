/**
 * What is expected of single values, at the door: a row that does not meet an expectation which refuses such rows is
 * refused with it, whichever way it comes. Nothing but the row decides, so it fares the same in every mode.
 *
 * One that blocks refuses the row as well, where no push can be refused; `blocked-push.ts` is where one can.
 */
import { asOnefoldError, OnefoldError } from "../base/errors.ts";
import { formatMicros, type Micros } from "../base/micros.ts";
import type { SourceDefinition } from "../define/definition.ts";
import type { ExpectationSeverity } from "../define/expectation-definition.ts";
import { ruleText } from "../define/expectation-problems.ts";
import { compileRule } from "../fold/expectation-rule.ts";
import type { Row, Value, ValueType } from "../schema/value.ts";
import type { DeadLetter } from "./pipeline.ts";

export interface CompiledExpectation {
  readonly severity: ExpectationSeverity;
  isMetBy(row: Row): boolean;
  refusal(row: Row): OnefoldError;
}

type Columns = readonly { readonly name: string; readonly type: ValueType }[];

/** Those that refuse rows, over a row with its derived columns; those that block come first, whatever else a row fails. */
export function compileExpectations(source: SourceDefinition, columns: Columns): CompiledExpectation[] {
  return (source.expectations ?? [])
    .filter(({ severity }) => severity !== "warn")
    .toSorted((a, b) => Number(b.severity === "block") - Number(a.severity === "block"))
    .map((expectation) => {
      const { name, column, rule, severity } = expectation;
      const index = columns.findIndex((one) => one.name === column);
      return {
        severity,
        isMetBy: compileRule(expectation, columns, `source ${source.name}`),
        refusal: (row) =>
          new OnefoldError(
            "EXPECTATION_FAILED",
            `column "${column}" is ${shown(row[index]!, columns[index]!.type)}: expectation "${name}" is that ${ruleText(column, rule)}`,
            { where: name, cause: new Refusal(severity) },
          ),
      };
    });
}

/** Says of a refusal which severity it is of; a cause never leaves the process. */
class Refusal extends Error {
  readonly severity: ExpectationSeverity;

  constructor(severity: ExpectationSeverity) {
    super(severity);
    this.severity = severity;
  }
}

/** Whether the error is that of an expectation which blocks. */
export function isBlocking(error: unknown): error is OnefoldError {
  return error instanceof OnefoldError && error.cause instanceof Refusal && error.cause.severity === "block";
}

/** What a dead letter says of why. */
export function reasonOf(error: unknown): Pick<DeadLetter, "code" | "message" | "expectation"> {
  const { code, message, where } = asOnefoldError(error);
  return { code, message, ...(code === "EXPECTATION_FAILED" && where !== undefined ? { expectation: where } : {}) };
}

const SHOWN_MAX = 100;

function shown(value: Value, type: ValueType): string {
  if (type.name === "timestamp") return formatMicros(value as Micros);
  if (typeof value === "number") return String(value);
  const text = value instanceof Uint8Array ? Buffer.from(value).toString("base64") : JSON.stringify(value);
  return text.length <= SHOWN_MAX ? text : `${text.slice(0, SHOWN_MAX)}...`;
}
