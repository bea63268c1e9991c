/**
 * The model of the demo: a logistic regression, the same for honest and leaky features.
 *
 * Inputs are standardised with the training rows' means and deviations; a null becomes the mean, and every input that
 * is ever null in training gets an indicator beside it. Fitted by Newton's method (iteratively reweighted least
 * squares) with a small ridge, so there is no learning rate to tune and no randomness; ml-matrix solves the equations.
 */
import { CholeskyDecomposition, Matrix } from "ml-matrix";

/** Rows of features by column; NaN stands for null. */
export interface Table {
  readonly rows: number;
  readonly columns: readonly Float64Array[];
}

export interface Model {
  /** Probability of 1 for each row. */
  predict(table: Table): Float64Array;
}

const RIDGE = 1;
const MAX_STEPS = 15;

/** `labels` are 0 or 1, one a row. */
export function fitLogisticRegression(table: Table, labels: Float64Array): Model {
  const scaling = table.columns.map(measure);
  const inputs = designColumns(table, scaling);
  let weights = new Float64Array(inputs.length);
  for (let step = 0; step < MAX_STEPS; step++) {
    const next = newtonStep(inputs, labels, weights);
    const change = Math.max(...next.map((weight, i) => Math.abs(weight - weights[i]!)));
    weights = next;
    if (change < 1e-6) break;
  }
  return { predict: (other) => probabilities(designColumns(other, scaling), weights) };
}

/** (X'WX + ridge) step = X'(y - p) - ridge * w, the intercept (column 0) without ridge. */
function newtonStep(
  inputs: readonly Float64Array[],
  labels: Float64Array,
  weights: Float64Array,
): Float64Array<ArrayBuffer> {
  const predicted = probabilities(inputs, weights);
  const residual = labels.map((label, row) => label - predicted[row]!);
  const hessian = Matrix.zeros(inputs.length, inputs.length);
  const gradient = Matrix.zeros(inputs.length, 1);
  for (const [i, input] of inputs.entries()) {
    const ridge = i === 0 ? 0 : RIDGE;
    gradient.set(i, 0, dot(input, residual) - ridge * weights[i]!);
    const weighted = input.map((value, row) => value * predicted[row]! * (1 - predicted[row]!));
    for (let j = 0; j <= i; j++) {
      const value = dot(weighted, inputs[j]!) + (i === j ? ridge : 0);
      hessian.set(i, j, value);
      hessian.set(j, i, value);
    }
  }
  const step = new CholeskyDecomposition(hessian).solve(gradient);
  return weights.map((weight, i) => weight + step.get(i, 0)) as Float64Array<ArrayBuffer>;
}

interface Scaling {
  readonly mean: number;
  readonly deviation: number;
  readonly hasNulls: boolean;
}

function measure(column: Float64Array): Scaling {
  let count = 0;
  let sum = 0;
  for (const value of column) {
    if (Number.isNaN(value)) continue;
    count++;
    sum += value;
  }
  const mean = count === 0 ? 0 : sum / count;
  let squares = 0;
  for (const value of column) if (!Number.isNaN(value)) squares += (value - mean) ** 2;
  const deviation = Math.sqrt(squares / Math.max(1, count - 1));
  return { mean, deviation: deviation === 0 ? 1 : deviation, hasNulls: count < column.length };
}

/** A column of ones, then each input, standardised, with its indicator of null where training had any. */
function designColumns(table: Table, scaling: readonly Scaling[]): Float64Array[] {
  const inputs = [new Float64Array(table.rows).fill(1)];
  for (const [i, column] of table.columns.entries()) {
    const { mean, deviation, hasNulls } = scaling[i]!;
    inputs.push(column.map((value) => (Number.isNaN(value) ? 0 : (value - mean) / deviation)));
    if (hasNulls) inputs.push(column.map((value) => (Number.isNaN(value) ? 1 : 0)));
  }
  return inputs;
}

function probabilities(inputs: readonly Float64Array[], weights: Float64Array): Float64Array {
  const scores = new Float64Array(inputs[0]!.length);
  for (const [i, input] of inputs.entries()) {
    const weight = weights[i]!;
    for (let row = 0; row < scores.length; row++) scores[row]! += weight * input[row]!;
  }
  return scores.map((score) => 1 / (1 + Math.exp(-score)));
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let row = 0; row < a.length; row++) sum += a[row]! * b[row]!;
  return sum;
}
