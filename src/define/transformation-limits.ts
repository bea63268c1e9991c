/**
 * How large the parameters of a transformation may be.
 */

/** Each category is a slot of its own: past this, ordinal or hashBucket are the way. */
export const ONE_HOT_MAX = 1000;
export const ONE_HOT_DEFAULT = 100;
/** Fitted categories are stored with the fit and held in memory. */
export const ORDINAL_MAX = 100_000;
export const ORDINAL_DEFAULT = 10_000;
export const BINS_MAX = 1000;
/** Hashes have 53 bits: with so many buckets, none is favoured by more than one part in 2^22. */
export const BUCKETS_MAX = 2_147_483_647;
