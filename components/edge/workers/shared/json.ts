/** JSON as we take it: UTF-8, no field twice in an object, no deeper than {@link DEPTH}. `JSON.parse` lets the last of two fields win, which hides one from whoever looked before. */

const DEPTH = 64;
const BETWEEN = /[^"{}[\],:]+/y;

/** The text is not JSON as we take it; the message says why. */
export class JsonFault extends Error {}

/** Throws {@link JsonFault}. */
export function parse(text: string): unknown {
  scan(text);
  try {
    return JSON.parse(text);
  } catch {
    throw new JsonFault("it is not JSON");
  }
}

/** Follows the nesting and the names; what else is wrong is found by `JSON.parse`. */
function scan(text: string): void {
  /** The names of each open object; null for an open list. */
  const open: (Set<string> | null)[] = [];
  let at = 0;
  let name: string | null = null;
  while (at < text.length) {
    const character = text[at];
    if (character === '"') {
      const end = endOf(text, at);
      name = text.slice(at, end);
      at = end;
      continue;
    }
    if (character === "{" || character === "[") {
      if (open.length === DEPTH) throw new JsonFault(`it is nested deeper than ${DEPTH}`);
      open.push(character === "{" ? new Set() : null);
    } else if (character === "}" || character === "]") open.pop();
    else if (character === ":" && name !== null) enter(open.at(-1), name);
    if (character !== undefined && "{}[],:".includes(character)) {
      name = null;
      at += 1;
      continue;
    }
    BETWEEN.lastIndex = at;
    at += BETWEEN.exec(text)?.[0].length ?? 1;
  }
}

/** Where a text that begins with a quote at `at` ends. */
function endOf(text: string, at: number): number {
  for (let quote = text.indexOf('"', at + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let slashes = 0;
    while (text[quote - 1 - slashes] === "\\") slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
  }
  throw new JsonFault(`a text that begins at ${at} has no end`);
}

function enter(names: Set<string> | null | undefined, quoted: string): void {
  if (!names) return;
  const name = quoted.includes("\\") ? unquoted(quoted) : quoted.slice(1, -1);
  if (names.has(name)) throw new JsonFault(`the field ${name.slice(0, 80)} comes twice`);
  names.add(name);
}

function unquoted(text: string): string {
  try {
    return JSON.parse(text) as string;
  } catch {
    throw new JsonFault("a name is not a JSON text");
  }
}
