import { expect, it } from "vitest";
import { fingerprintOf } from "./fingerprint";
import type { WorkloadSpec } from "./wire";

const SPEC = { artifact: { digest: "sha256:0" }, image: null, command: ["./serve"], env: {}, ports: { http: 8080 }, drainSeconds: 5, access: "anonymous" } as unknown as WorkloadSpec;

it("tells a machine that may ask for the cloud's identity from one that may not", () => {
  expect(fingerprintOf({ ...SPEC, cloudIdentity: true })).not.toBe(fingerprintOf({ ...SPEC, cloudIdentity: false }));
});

it("is what it was for what ran before the cloud's identity could be asked for", () => {
  expect(fingerprintOf({ ...SPEC, cloudIdentity: false })).toBe(fingerprintOf(SPEC));
});

it("tells a machine that tells its lines from one that doesn't, and from one with the cloud's identity", () => {
  const fingerprints = [{}, { logs: true }, { cloudIdentity: true }, { cloudIdentity: true, logs: true }].map((asked) => fingerprintOf({ ...SPEC, ...asked }));
  expect(new Set(fingerprints).size).toBe(4);
  expect(fingerprintOf({ ...SPEC, logs: false })).toBe(fingerprints[0]);
});
