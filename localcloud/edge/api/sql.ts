/** Cuts SQL text into statements at semicolons outside of strings, comments and trigger bodies. */

const TOKEN = /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|;|[A-Za-z_]+|[\s\S]/g;

/** The statements of `sql` in order, without empty ones. */
export function statements(sql: string): string[] {
  const found: string[] = [];
  let current = "";
  let words: string[] = [];
  let depth = 0;
  for (const [token] of sql.matchAll(TOKEN)) {
    const comment = token.startsWith("--") || token.startsWith("/*");
    if (/^[A-Za-z_]+$/.test(token)) {
      const word = token.toUpperCase();
      words.push(word);
      const trigger = words[0] === "CREATE" && words.slice(1, 4).includes("TRIGGER");
      if (trigger && (word === "BEGIN" || word === "CASE")) depth += 1;
      if (trigger && word === "END") depth -= 1;
    }
    if (token === ";" && depth === 0) {
      if (words.length > 0) found.push(current.trim());
      current = "";
      words = [];
    } else if (!comment) current += token;
  }
  if (words.length > 0) found.push(current.trim());
  return found;
}
