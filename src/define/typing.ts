/**
 * What the compiler knows of definitions: kinds of columns, what an expression or aggregation needs of
 * the columns it names, and how a need that is not met reads as an error.
 *
 * `col("delay").gt(15)` is written before its source is known, so it carries its needs in its type
 * (`["delay", "number"]`), and `stream` and `view` hold them against the source's columns. A need that is
 * not met turns the expected type into a sentence, which the compiler prints.
 *
 * Types stand in properties named "~types" that no object has at run time.
 */
import type { Micros } from "../base/micros.ts";

/** A column's type as text: `int64`, `wide int64`, `array<float64>`; `number` is a derived int64 or float64. */
export type Kind =
  | "int64"
  | "wide int64"
  | "float64"
  | "number"
  | "string"
  | "bytes"
  | "bool"
  | "timestamp"
  | `array<${string}>`;

/** The value of a kind in memory. */
export type ValueOfKind<K> = K extends "int64" | "float64" | "number"
  ? number
  : K extends "string" | "wide int64"
    ? string
    : K extends "bytes"
      ? Uint8Array
      : K extends "bool"
        ? boolean
        : K extends "timestamp"
          ? Micros
          : K extends `array<${infer E}>`
            ? readonly (ValueOfKind<E> | null)[]
            : never;

/** The JSON form of a float64 that is not finite. */
export type NonFinite = "NaN" | "Infinity" | "-Infinity";

/** What a door takes for a kind: see `checkValue`. `F` is what it takes for a float64. */
export type InputOfKind<K, F = number | NonFinite> = K extends "int64"
  ? number | bigint
  : K extends "wide int64"
    ? number | bigint | string
    : K extends "float64"
      ? F
      : K extends "timestamp"
        ? string | Date | { readonly micros: number } | { readonly millis: number }
        : K extends "bytes"
          ? Uint8Array | string
          : K extends `array<${infer E}>`
            ? readonly (InputOfKind<E, F> | null)[]
            : ValueOfKind<K>;

/** Kinds that an operation takes. */
export interface KindsOfClass {
  any: Kind;
  number: "int64" | "float64" | "number";
  text: "string" | "wide int64";
  bool: "bool";
  time: "timestamp";
  bytes: "bytes";
  ordered: "int64" | "float64" | "number" | "timestamp";
  measured: "string" | "bytes" | `array<${string}>`;
}
export type Class = keyof KindsOfClass;

interface ClassText {
  any: "anything";
  number: "a number";
  text: "a string";
  bool: "a bool";
  time: "a timestamp";
  bytes: "bytes";
  ordered: "a number or a timestamp";
  measured: "a string, bytes or an array";
}

/** A column and what is needed of it. A name that begins with `!` is a sentence: a need that nothing meets. */
export type Need = readonly [column: string, needs: Class];

/** Stands for the kind of a column whose source is not known yet. */
export interface OfColumn<N extends string> {
  readonly column: N;
}

/** Stands for an array of the values of a column whose source is not known yet. */
export interface ArrayOfColumn<N extends string> {
  readonly arrayOf: N;
}

export type ClassOfKind<K> = K extends KindsOfClass["number"]
  ? "number"
  : K extends KindsOfClass["text"]
    ? "text"
    : K extends "bool"
      ? "bool"
      : K extends "timestamp"
        ? "time"
        : K extends "bytes"
          ? "bytes"
          : "any";

/** What is needed so that something of `Of` can stand where `C` is needed: a kind, or a column's unknown one. */
export type Require<Of, C extends Class> =
  Of extends OfColumn<infer N>
    ? readonly [N, C]
    : Of extends KindsOfClass[C]
      ? never
      : Of extends Kind
        ? readonly [`!${ClassText[C]} is needed, this is of type ${Of}`, "any"]
        : never;

/** The sentence for each need that `Columns` (kind by name) do not meet; never when all are met. */
export type Problem<N, Columns> = N extends readonly [infer C extends string, infer K extends Class]
  ? string extends C
    ? never
    : C extends `!${infer Sentence}`
      ? Sentence
      : C extends keyof Columns
        ? Columns[C] extends KindsOfClass[K]
          ? never
          : `column "${C}" is of type ${Columns[C] & string}: ${ClassText[K]} is needed`
        : `the source has no column "${C}"`
  : never;

/** A duration such as "90s", "1h" or "7d": a whole number and a unit. */
export type DurationText = `${bigint}${"us" | "ms" | "s" | "m" | "h" | "d" | "w"}`;

/** Shows a computed object type as its members. */
export type Simplify<T> = { [K in keyof T]: T[K] } & {};
