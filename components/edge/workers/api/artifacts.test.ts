import { env } from "cloudflare:test";
import { beforeEach, expect, test } from "vitest";
import { apply } from "../shared/schema";
import { artifacts, FETCH_SECONDS, fetches } from "./artifacts";

const HEX = "a".repeat(64);
const get = artifacts.find(({ id }) => id === "getArtifact");

beforeEach(async () => {
  await apply(env.DB);
  for (const table of ["workloads", "placements"]) await env.DB.prepare(`delete from ${table}`).run();
  const spec = JSON.stringify({ artifact: { digest: `sha256:${HEX}` } });
  await env.DB.prepare("insert into workloads values ('web-acme', 'acme', 'web', 'RUNNING', '', ?, 0, null, null, '', '')").bind(spec).run();
  await env.DB.prepare("insert into placements values ('acme_web_1', 'web-acme', 'acme', 1, 'SERVING', '{}', ?, null)").bind(`sha256:${HEX}`).run();
  await env.ARTIFACTS.put(`acme/sha256/${HEX}`, "it");
});

/** What a machine gets whose token was issued so many seconds ago. */
const fetched = async (seconds: number) => {
  const claims = { placement: "acme_web_1", tenant: "acme", iat: Math.floor(Date.now() / 1000) - seconds };
  const request = new Request(`https://api.edge.test/v1/artifacts/sha256:${HEX}`);
  return (await get?.handle({ env, request, claims, scopes: new Set(["placement"]), query: {}, params: { digest: `sha256:${HEX}` } } as never)) as Response;
};

test("a machine fetches its artifact in the first hour of its token, and not later", async () => {
  expect(await (await fetched(0)).text()).toBe("it");
  expect(await (await fetched(FETCH_SECONDS - 60)).text()).toBe("it");
  await expect(fetched(FETCH_SECONDS + 60)).rejects.toMatchObject({ status: 403, word: "fetch-time-over" });
});

test("the hour ends with its last second; a token without a time of issue has none", () => {
  expect([fetches({ iat: 1000 }, (1000 + FETCH_SECONDS) * 1000), fetches({ iat: 1000 }, (1000 + FETCH_SECONDS) * 1000 + 1), fetches({}, 0)]).toEqual([true, false, false]);
});
