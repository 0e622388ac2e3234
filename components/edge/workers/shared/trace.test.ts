import { expect, test } from "vitest";
import { traceparent } from "./trace";

test("a migration's trace follows from its id, as the automation service derives it", async () => {
  expect(await traceparent("acme_web_3")).toBe("00-9872abca3f29cd9c0261c5a2027ce405-d072604b9d07014b-01");
});
