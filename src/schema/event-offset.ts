/**
 * History stands in front of the live log: its n-th event (by known time, file, row) has offset
 * `HISTORY_BASE + n`, the live log's n-th has offset n, so that one comparison orders both and later
 * history can be added behind earlier history without renumbering either.
 */
export const HISTORY_BASE: number = -(2 ** 52);
