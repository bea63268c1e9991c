/** An answer of so many bytes, head and body together, that says nothing. */
export function emptyAnswer(answerBytes: number): Buffer {
  const head = (bodyBytes: number): string => `HTTP/1.1 200 OK\r\ncontent-length: ${bodyBytes}\r\n`;
  const end = "\r\n\r\n";
  // Its length stands in the head, which is longer by a digit now and then: another line of it takes up the rest.
  const bodyBytes = Math.max(0, answerBytes - head(answerBytes).length - PADDING.length - end.length);
  const padding = PADDING.padEnd(answerBytes - head(bodyBytes).length - bodyBytes - end.length, "x");
  return Buffer.from(`${head(bodyBytes)}${padding}${end}${"x".repeat(bodyBytes)}`, "latin1");
}

const PADDING = "x: ";
