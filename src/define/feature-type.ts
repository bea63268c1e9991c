/**
 * The type of what an aggregation computes, by the type of its column.
 *
 * | aggregation                    | of                         | computes        |
 * |--------------------------------|----------------------------|-----------------|
 * | count                          | any column, or none        | int64           |
 * | sum                            | int64, float64             | the same        |
 * | mean variance stddev           | int64, float64             | float64         |
 * | min max                        | int64, float64, timestamp  | the same        |
 * | first last                     | any                        | the same        |
 * | countDistinct                  | any                        | int64           |
 * | firstK lastK                   | any                        | array of it     |
 * | topK                           | string, int64              | array of it     |
 * | topCounts                      | string, int64              | array of int64  |
 * | topOther                       | string, int64              | int64           |
 * | histogram                      | string, int64, bool        | array of int64  |
 * | quantile ewma decayedSum       | int64, float64             | float64         |
 * | timeSinceLast rate             | any column, or none        | float64         |
 * | countSessions                  | any column, or none        | int64           |
 * | custom                         | any column, or none        | what it declares |
 */
import { formatType, isNumeric, type ValueType } from "../schema/value.ts";
import type { Aggregation } from "./aggregation-definition.ts";
import { parameterProblem } from "./aggregation-parameters.ts";
import { type ExpressionColumn, unknownColumn } from "./expression-type.ts";

/** The type, or a sentence that says why there is none. */
export function featureType(aggregation: Aggregation, columns: readonly ExpressionColumn[]): ValueType | string {
  const type = typeByColumn(aggregation, columns);
  if (typeof type === "string") return type;
  const input = columns.find((one) => one.name === aggregation.column)?.type;
  return parameterProblem(aggregation, input) ?? type;
}

function typeByColumn(aggregation: Aggregation, columns: readonly ExpressionColumn[]): ValueType | string {
  const { fn, column } = aggregation;
  const type = columns.find((one) => one.name === column)?.type;
  if (column !== undefined && type === undefined) return `${fn}: ${unknownColumn(column, columns)}`;
  if (fn === "count" || fn === "countSessions") return { name: "int64" };
  if (fn === "custom") return aggregation.custom?.output ?? "a custom aggregation without its functions";
  if (fn === "timeSinceLast") return { name: "float64" };
  if (fn === "rate") {
    return aggregation.over?.kind === "time" ? { name: "float64" } : 'rate needs a time window, as in over("1h")';
  }
  if (type === undefined) return `${fn} needs a column`;
  switch (fn) {
    case "sum":
      return isNumeric(type) ? type : `sum needs a number, column "${column}" is ${formatType(type)}`;
    case "mean":
    case "variance":
    case "stddev":
    case "quantile":
    case "ewma":
    case "decayedSum":
      return isNumeric(type) ? { name: "float64" } : `${fn} needs a number, column "${column}" is ${formatType(type)}`;
    case "min":
    case "max":
      return isNumeric(type) || type.name === "timestamp"
        ? type
        : `${fn} needs a number or a timestamp, column "${column}" is ${formatType(type)}`;
    case "first":
    case "last":
      return type;
    case "firstK":
    case "lastK":
      return { name: "array", element: type };
    case "countDistinct":
      return { name: "int64" };
    case "topK":
    case "topCounts":
    case "topOther":
      if (type.name !== "string" && type.name !== "int64") {
        return `${fn} needs a string or an int64, column "${column}" is ${formatType(type)}`;
      }
      if (fn === "topOther") return { name: "int64" };
      return { name: "array", element: fn === "topK" ? type : { name: "int64" } };
    case "histogram":
      return type.name === "string" || type.name === "int64" || type.name === "bool"
        ? { name: "array", element: { name: "int64" } }
        : `histogram needs a string, an int64 or a bool, column "${column}" is ${formatType(type)}`;
    default:
      return `there is no aggregation "${String(fn)}"`;
  }
}
