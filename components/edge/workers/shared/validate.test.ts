import { expect, test } from "vitest";
import { spec } from "../tests/documents";
import { completed, faultsBy, faultsOf } from "./validate";
import type { WorkloadSpec } from "./wire";

const least = { artifact: { digest: `sha256:${"ab".repeat(32)}`, sizeBytes: 1 }, command: ["./serve"], ports: {} };

test("what was left out is filled in as the Python models have it, also in part", () => {
  const whole = completed("WorkloadSpec", { ...least, health: { path: "/up" } }) as WorkloadSpec;
  expect(whole.health).toMatchObject({ path: "/up", intervalSeconds: 1, timeoutSeconds: 2, healthyCount: 2, unhealthyCount: 3 });
  expect(whole.ports).toMatchObject({ http: null, tcp: null });
  expect([whole.env, whole.drainSeconds, whole.access, whole.resources.arch, whole.placement.threshold]).toEqual([{}, 5, "anonymous", "x86_64", null]);
  expect(faultsOf("WorkloadSpec", whole)).toEqual([]);
});

test("a whole document stays as it is, and two documents never share a default", () => {
  expect(completed("WorkloadSpec", spec())).toEqual(spec());
  const [one, other] = [completed("WorkloadSpec", least), completed("WorkloadSpec", least)] as [WorkloadSpec, WorkloadSpec];
  one.env.changed = "yes";
  expect(other.env).toEqual({});
});

test.each(["constructor", "toString", "hasOwnProperty", "__proto__", "valueOf"])("the field %s is not one of a document because every object has it", (name) => {
  const document = JSON.parse(`{"point":"api","seq":1,"hash":"h","at":"2026-01-01T00:00:00Z","${name}":{}}`) as unknown;
  expect(faultsOf("AuditHead", document)).toEqual([{ path: name, message: "is not a field of this document" }]);
  expect(faultsOf("TokenRequest", JSON.parse(`{"${name}":1}`)).map(({ message }) => message)).toContain("is required");
});

test.each(["@evil.example/", "healthz", "http://evil.example/", "/a b", "/\r\nhost: evil", ""])("the health path %j, which could lead a probe elsewhere, is refused", (path) => {
  expect(faultsOf("WorkloadSpec", { ...least, health: { path } })).not.toEqual([]);
});

test.each([
  [{ type: "integer", minimum: 1 }, 1.5, "must be a whole number"],
  [{ type: "integer", minimum: 1 }, "1", "must be a number"],
  [{ type: "number" }, Number.NaN, "must be a number"],
  [{ type: "array", maxItems: 1, items: { type: "string" } }, ["a", "b"], "must have at most 1 entries"],
  [{ type: "string", format: "date-time" }, "2026-13-45T99:00:00Z", "must be a time as in 2026-01-31T12:00:00Z"],
  [{ type: "string", maxLength: 2 }, "abc", "must have at most 2 characters"],
  [{ anyOf: [{ type: "integer" }, { type: "null" }] }, "x", "must be a number"],
])("%j refuses %j", (schema, value, message) => {
  expect(faultsBy(schema, value).map((one) => one.message)).toEqual([message]);
});

test("a text is as long as it has characters, wherever they stand in Unicode", () => {
  expect([faultsBy({ type: "string", maxLength: 2 }, "🚀🚀"), faultsBy({ type: "string", maxLength: 1 }, "🚀🚀").length]).toEqual([[], 1]);
});
