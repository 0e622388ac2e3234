import { expect, test } from "vitest";
import type { ProblemError } from "../shared/problem";
import { rangeOf } from "./artifacts";
import { json } from "./body";
import { names } from "./etags";
import { pageOf, paged } from "./pages";

const refusal = async (work: () => unknown): Promise<[number, string]> => {
  try {
    await work();
  } catch (error) {
    return [(error as ProblemError).status, (error as ProblemError).word];
  }
  throw new Error("it was taken");
};
const posted = (body: BodyInit, headers: Record<string, string> = { "content-type": "application/json" }) => new Request("http://api/", { method: "POST", body, headers });

test.each([
  ["bytes=0-0", { offset: 0, length: 1 }],
  ["bytes=2-5", { offset: 2, length: 4 }],
  ["bytes=8-", { offset: 8, length: 2 }],
  ["bytes=-3", { offset: 7, length: 3 }],
  ["bytes=-99", { offset: 0, length: 10 }],
  ["bytes=5-99", { offset: 5, length: 5 }],
  ["bytes=5-4", null],
  ["bytes=0-1,3-4", null],
  ["bytes=-", null],
  ["lines=0-1", null],
  [null, null],
])("of ten bytes, the range %s is %j", (header, range) => {
  expect(rangeOf(header, 10)).toEqual(range);
});

test.each(["bytes=10-", "bytes=99-100", "bytes=-0"])("of ten bytes, there is no range %s", async (header) => {
  expect(await refusal(() => rangeOf(header, 10))).toEqual([416, "range-not-satisfiable"]);
});

test("every range within a size lies within it", () => {
  for (let size = 1; size <= 12; size += 1)
    for (let first = 0; first < size; first += 1)
      for (let last = first; last < size + 3; last += 1) {
        const range = rangeOf(`bytes=${first}-${last}`, size);
        expect(range).toEqual({ offset: first, length: Math.min(last, size - 1) - first + 1 });
      }
});

test("a cursor leads on in its own listing, and is refused in another, with another filter, or made up", async () => {
  const first = pageOf("listTenants", { limit: "2" });
  const reply = paged(
    first,
    ["a", "ä", "c"],
    (id) => [id],
    (id) => id,
  ) as { document: { items: string[]; next: string } };
  expect(reply.document.items).toEqual(["a", "ä"]);
  const cursor = reply.document.next;
  expect(pageOf("listTenants", { limit: "7", cursor }).after).toEqual(["ä"]);
  for (const work of [
    () => pageOf("listWorkloads", { cursor }),
    () => pageOf("listTenants", { tenant: "acme", cursor }),
    () => pageOf("listTenants", { cursor: "" }),
    () => pageOf("listTenants", { cursor: "%%%" }),
    () => pageOf("listTenants", { cursor: btoa('["listTenants"]') }),
    () => pageOf("listTenants", { cursor: btoa(JSON.stringify(['["listTenants"]', { a: 1 }])) }),
    () => pageOf("listTenants", { cursor: btoa(JSON.stringify(['["listTenants"]', null])) }),
  ])
    expect(await refusal(work)).toEqual([400, "invalid-cursor"]);
  for (const limit of ["0", "501", "-1", "1e2", "many", ""]) expect(await refusal(() => pageOf("listTenants", { limit }))).toEqual([422, "invalid-request"]);
});

test("entity tags are compared as RFC 9110 says", () => {
  expect([names('"a"', '"a"', false), names('"b", "a"', '"a"', false), names("*", '"a"', false), names('W/"a"', '"a"', false), names('W/"a"', '"a"', true), names("a", '"a"', true)]).toEqual([
    true,
    true,
    true,
    false,
    true,
    false,
  ]);
});

test.each([
  ["no JSON", posted("{"), [400, "invalid-json"]],
  ["an empty body", posted(""), [400, "invalid-json"]],
  ["bytes that are not UTF-8", posted(new Uint8Array([0x22, 0xff, 0x22])), [400, "invalid-json"]],
  ["a field twice", posted('{"a":1,"a":2}'), [400, "invalid-json"]],
  ["another media type", posted("{}", { "content-type": "text/plain" }), [415, "unsupported-media-type"]],
  ["another charset", posted("{}", { "content-type": "application/json; charset=utf-16" }), [415, "unsupported-media-type"]],
  ["a compressed body", posted("{}", { "content-type": "application/json", "content-encoding": "gzip" }), [415, "unsupported-media-type"]],
  ["a body that declares too much", posted("{}", { "content-type": "application/json", "content-length": "99999" }), [413, "too-large"]],
  ["a body that is larger than it says nothing of", posted(" ".repeat(2000)), [413, "too-large"]],
])("%s is refused", async (_, request, expected) => {
  expect(await refusal(() => json(request, 1000))).toEqual(expected);
});

test("a body that never ends is given up in time", async () => {
  const given = { up: false };
  const endless = new ReadableStream({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      if (!given.up) controller.enqueue(new TextEncoder().encode(" "));
    },
    cancel() {
      given.up = true;
    },
  });
  expect(await refusal(() => json(posted(endless), 1000, 100))).toEqual([408, "too-slow"]);
  expect(given.up).toBe(true);
});
