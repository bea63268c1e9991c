/**
 * Powers of two with a fraction, from IEEE 754 exact operations alone: `Math.pow` may differ between
 * engines in its last bits, this may not.
 *
 *     2^-x = 2^-n * 2^(-k/32) * 2^-r        n whole, 0 <= k < 32, 0 <= r < 1/32
 *
 * The first factor is exact, the second from a table, the third its Taylor polynomial of degree 7, whose
 * remainder is below 2e-18 (Tang, "Table-driven implementation of the exponential function", ACM TOMS 15,
 * 1989). Relative error below 1e-15 where the result is not subnormal.
 */

/* oxlint-disable oxc/approx-constant -- a table and a polynomial: their bits stand here, not an engine's constants */

/** 2^(-k/32), correctly rounded. */
const FRACTIONS: readonly number[] = [
  1.0, 0.9785720620877001, 0.9576032806985737, 0.93708381705515, 0.9170040432046712, 0.8973545375015536,
  0.8781260801866497, 0.859309649061239, 0.8408964152537145, 0.8228777390769825, 0.8052451659746271, 0.7879904225539432,
  0.7711054127039704, 0.7545822137967114, 0.7384130729697497, 0.7225904034885233, 0.7071067811865476, 0.691954940981916,
  0.6771277734684463, 0.6626183215798707, 0.6484197773255048, 0.6345254785958666, 0.620928906036742, 0.6076236799902345,
  0.5946035575013605, 0.5818624293887887, 0.5693943173783458, 0.5571933712979462, 0.5452538663326288,
  0.5335702003384118, 0.5221368912137069, 0.5109485743270583,
];

/** 2^-n for n from 0 to 1074, by halving: exact. */
const WHOLES: Float64Array = new Float64Array(1075);
WHOLES[0] = 1;
for (let n = 1; n < WHOLES.length; n++) WHOLES[n] = WHOLES[n - 1]! / 2;

/** 2^-x for x >= 0; 0 where that is too small for a float64. */
export function halvings(x: number): number {
  if (!(x < 1075)) return 0;
  const n = Math.floor(x);
  const fraction = (x - n) * 32;
  const k = Math.floor(fraction);
  const r = (fraction - k) / 32;
  let power = -1.5252733804059841e-5;
  power = power * r + 0.0001540353039338161;
  power = power * r - 0.0013333558146428443;
  power = power * r + 0.009618129107628477;
  power = power * r - 0.05550410866482158;
  power = power * r + 0.24022650695910072;
  power = power * r - 0.6931471805599453;
  power = power * r + 1;
  return power * FRACTIONS[k]! * WHOLES[n]!;
}
