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
 * | custom                         | any column, or none        | what it declares |
 */
import { formatType, isNumeric, type ValueType } from "../schema/value.ts";
import { type Aggregation } from "./definition.ts";
import { type ExpressionColumn, unknownColumn } from "./expression-type.ts";

/** The type, or a sentence that says why there is none. */
export function featureType(aggregation: Aggregation, columns: readonly ExpressionColumn[]): ValueType | string {
  const { fn, column } = aggregation;
  const type = columns.find((one) => one.name === column)?.type;
  if (column !== undefined && type === undefined) return `${fn}: ${unknownColumn(column, columns)}`;
  if (fn === "count") return { name: "int64" };
  if (fn === "custom") return aggregation.custom?.output ?? "a custom aggregation without its functions";
  if (type === undefined) return `${fn} needs a column`;
  switch (fn) {
    case "sum":
      return isNumeric(type) ? type : `sum needs a number, column "${column}" is ${formatType(type)}`;
    case "mean":
    case "variance":
    case "stddev":
      return isNumeric(type) ? { name: "float64" } : `${fn} needs a number, column "${column}" is ${formatType(type)}`;
    case "min":
    case "max":
      return isNumeric(type) || type.name === "timestamp"
        ? type
        : `${fn} needs a number or a timestamp, column "${column}" is ${formatType(type)}`;
    case "first":
    case "last":
      return type;
    default:
      return `there is no aggregation "${String(fn)}"`;
  }
}
