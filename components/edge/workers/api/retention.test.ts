import { env } from "cloudflare:test";
import { beforeEach, expect, test } from "vitest";
import { apply } from "../shared/schema";
import { ARTIFACT_MS, retire, RUN_EVENT_MS } from "./retention";

const HOUR_MS = 3_600_000;
const hex = (character: string) => character.repeat(64);
const spec = (character: string) => JSON.stringify({ artifact: { digest: `sha256:${hex(character)}` } });
const time = (ms: number) => new Date(ms).toISOString();
let now = 0;

beforeEach(async () => {
  await apply(env.DB);
  for (const table of ["workloads", "placements", "migrations", "run_events", "idempotency", "uploads", "upload_parts"]) await env.DB.prepare(`delete from ${table}`).run();
  await env.ARTIFACTS.delete((await env.ARTIFACTS.list()).objects.map(({ key }) => key));
  now = Date.now();
});

const workload = (id: string, state: string, artifact: string) =>
  env.DB.prepare("insert into workloads values (?, 'acme', 'web', ?, '', ?, 0, null, null, '', '')").bind(id, state, spec(artifact)).run();
const placement = (id: string, state: string, artifact: string | null, endedAt: string | null = null) =>
  env.DB.prepare("insert into placements values (?, 'web-acme', 'acme', 1, ?, '{}', ?, ?)")
    .bind(id, state, artifact && `sha256:${hex(artifact)}`, endedAt)
    .run();
const stored = async () => (await env.ARTIFACTS.list()).objects.map(({ key }) => key).sort();
const later = () => now + ARTIFACT_MS + HOUR_MS;

test("an artifact goes 30 days after it was stored, unless a workload or a placement within its retention refers to it", async () => {
  for (const one of ["a", "b", "c", "d", "e"]) await env.ARTIFACTS.put(`acme/sha256/${hex(one)}`, one);
  await env.ARTIFACTS.put(`other/sha256/${hex("a")}`, "another tenant's of the same digest");
  await workload("web-acme", "RUNNING", "a");
  await workload("old-acme", "TERMINATED", "b");
  await placement("acme_web_1", "SERVING", "c");
  await placement("acme_web_2", "DESTROYED", "d", time(later() - ARTIFACT_MS + HOUR_MS));
  await placement("acme_web_3", "DESTROYED", "e", time(later() - ARTIFACT_MS - HOUR_MS));
  expect((await retire(env as never, now)).artifacts).toBe(0);
  expect((await retire(env as never, later())).artifacts).toBe(3);
  expect(await stored()).toEqual(["a", "c", "d"].map((one) => `acme/sha256/${hex(one)}`));
});

test("a workload that runs an image refers to no artifact", async () => {
  await env.ARTIFACTS.put(`acme/sha256/${hex("a")}`, "a");
  const image = JSON.stringify({ artifact: null, image: `ghcr.io/acme/web@sha256:${hex("a")}` });
  await env.DB.prepare("insert into workloads values ('web-acme', 'acme', 'web', 'RUNNING', '', ?, 0, null, null, '', '')").bind(image).run();
  await placement("acme_web_1", "SERVING", null);
  expect((await retire(env as never, later())).artifacts).toBe(1);
});

test("a placement that has ended keeps its artifact for 30 days from when that was seen", async () => {
  await env.ARTIFACTS.put(`acme/sha256/${hex("a")}`, "a");
  await placement("acme_web_1", "FAILED", "a");
  expect((await retire(env as never, later())).artifacts).toBe(0);
  expect((await retire(env as never, later() + ARTIFACT_MS - HOUR_MS)).artifacts).toBe(0);
  expect((await retire(env as never, later() + ARTIFACT_MS + HOUR_MS)).artifacts).toBe(1);
});

test("an artifact under the name of before tenants had their own stays while it is referred to", async () => {
  for (const one of ["a", "b"]) await env.ARTIFACTS.put(`sha256:${hex(one)}`, one);
  await workload("web-acme", "RUNNING", "a");
  await retire(env as never, later());
  expect(await stored()).toEqual([`sha256:${hex("a")}`]);
});

test("idempotency keys go after 24 h, results of ended runs after 30 days, abandoned uploads after 24 h with their parts", async () => {
  await env.DB.prepare("insert into idempotency values ('old', 'r', 201, 'a', ?), ('new', 'r', 201, 'a', ?)")
    .bind(now - 25 * HOUR_MS, now - 23 * HOUR_MS)
    .run();
  const migration = "insert into migrations values (?, 'web-acme', 'acme', 1, 'move', 'drain', ?, null, null, '{}', null, null, '', null)";
  await env.DB.batch([env.DB.prepare(migration).bind("acme_web_1", "running"), env.DB.prepare(migration).bind("acme_web_2", "succeeded")]);
  const event = env.DB.prepare("insert into run_events values (?, ?, 'provision', '{}', ?)");
  const past = time(now - RUN_EVENT_MS - HOUR_MS);
  await env.DB.batch([event.bind("run-1", "acme_web_1", past), event.bind("run-2", "acme_web_2", past), event.bind("run-3", "acme_web_2", time(now))]);
  const upload = await env.ARTIFACTS.createMultipartUpload("acme/uploads/up_1");
  await env.DB.prepare("insert into uploads values ('up_1', 'acme', 'd', 1, ?, 0, ?), ('up_2', 'acme', 'd', 1, 'm', 0, ?)")
    .bind(upload.uploadId, now - 25 * HOUR_MS, now)
    .run();
  await env.DB.prepare("insert into upload_parts values ('up_1', 1, 'e', 1), ('up_2', 1, 'e', 1)").run();
  expect(await retire(env as never, now)).toEqual({ idempotencyKeys: 1, runEvents: 1, uploads: 1, artifacts: 0 });
  expect((await env.DB.prepare("select run from run_events order by run").all()).results).toEqual([{ run: "run-1" }, { run: "run-3" }]);
  expect((await env.DB.prepare("select upload from upload_parts").all()).results).toEqual([{ upload: "up_2" }]);
  await expect(upload.uploadPart(1, "late")).rejects.toThrow();
});
