import { expect, test } from "vitest";
import { seeded } from "../tests/seeded";
import { JsonFault, parse } from "./json";

const fault = (text: string): string => {
  try {
    return `taken: ${JSON.stringify(parse(text))}`;
  } catch (error) {
    if (error instanceof JsonFault) return error.message;
    throw error;
  }
};

const TEXTS = ["", "a", 'quo"te', "back\\slash", "\\\\", '\\"', "{[:,]}", "ünï", "\u0000", "\u2028", "__proto__", "constructor", "12"];

function anything(next: () => number, depth: number): unknown {
  const kind = Math.floor(next() * (depth > 4 ? 4 : 6));
  const text = (): string => TEXTS[Math.floor(next() * TEXTS.length)] as string;
  if (kind === 0) return text();
  if (kind === 1) return Math.round(next() * 1e6) / 100;
  if (kind === 2) return next() < 0.5;
  if (kind === 3) return null;
  const parts = Array.from({ length: Math.floor(next() * 5) }, () => anything(next, depth + 1));
  return kind === 4 ? parts : Object.fromEntries(parts.map((part) => [text(), part]));
}

test("whatever JSON writes is read as JSON reads it, however it is spaced", () => {
  for (let seed = 1; seed <= 500; seed += 1) {
    const document = anything(seeded(seed), 0);
    for (const text of [JSON.stringify(document), JSON.stringify(document, null, 2)]) expect(parse(text)).toEqual(JSON.parse(text));
  }
});

test("a document that was cut off or has one character too many is refused, whatever it was", () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const text = JSON.stringify({ document: anything(seeded(seed), 0) });
    const at = 1 + Math.floor(seeded(seed + 1000)() * (text.length - 1));
    expect(() => parse(text.slice(0, at))).toThrow(JsonFault);
    expect(() => parse(`${text}}`)).toThrow(JsonFault);
  }
});

test.each([
  ['{"a":1,"a":2}', "the field a comes twice"],
  ['{"a":{"b":1},"c":[{"b":1,"b":2}]}', "the field b comes twice"],
  [String.raw`{"scopes":[],"sc\u006fpes":[]}`, "the field scopes comes twice"],
  ['{"__proto__":1,"__proto__":2}', "the field __proto__ comes twice"],
  ['{"a":1,"b":{"a":1}}', 'taken: {"a":1,"b":{"a":1}}'],
  ['[{"a":1},{"a":1}]', 'taken: [{"a":1},{"a":1}]'],
  ['{"a":"b","b":"a"}', 'taken: {"a":"b","b":"a"}'],
  ["{'a':1}", "it is not JSON"],
  ['{"a":01}', "it is not JSON"],
  ['{"a":NaN}', "it is not JSON"],
  ['["a', "a text that begins at 1 has no end"],
  ["", "it is not JSON"],
])("%s: %s", (text, expected) => {
  expect(fault(text)).toBe(expected);
});

test("what is nested deeper than 64 is refused before it is parsed", () => {
  expect(fault("[".repeat(64) + "]".repeat(64))).toMatch(/^taken/);
  expect(fault("[".repeat(65) + "]".repeat(65))).toBe("it is nested deeper than 64");
  expect(fault('{"a":'.repeat(500_000))).toBe("it is nested deeper than 64");
});
