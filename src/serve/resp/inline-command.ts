/**
 * Inline commands: a line of words, as people type it into a bare connection. Quoted as Redis has it:
 * `"..."` with the escapes `\n \r \t \b \a \xHH` and `\` before any other character, `'...'` with `\'` alone.
 */

const SPACE = /[ \t\n\v\f\r\0]/;
const HEX_BYTE = /^[0-9a-fA-F]{2}$/;
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", b: "\b", a: "\x07" };

/** The words of a line of bytes; null where a quote is not closed, or a word goes on right behind one that is. */
export function splitInlineCommand(line: string): string[] | null {
  const words: string[] = [];
  let at = 0;
  for (;;) {
    while (at < line.length && SPACE.test(line[at]!)) at++;
    if (at === line.length) return words;
    let word = "";
    let quote = "";
    for (; at < line.length; at++) {
      const char = line[at]!;
      if (quote === "") {
        if (SPACE.test(char)) break;
        if (char === '"' || char === "'") quote = char;
        else word += char;
      } else if (char === quote) {
        quote = "";
        at++;
        if (at < line.length && !SPACE.test(line[at]!)) return null;
        break;
      } else if (char === "\\" && quote === '"' && at + 1 < line.length) {
        const next = line[++at]!;
        const hex = line.slice(at + 1, at + 3);
        if (next === "x" && HEX_BYTE.test(hex)) {
          word += String.fromCharCode(Number.parseInt(hex, 16));
          at += 2;
        } else word += ESCAPES[next] ?? next;
      } else if (char === "\\" && quote === "'" && line[at + 1] === "'") {
        word += line[++at]!;
      } else word += char;
    }
    if (quote !== "") return null;
    words.push(word);
  }
}
