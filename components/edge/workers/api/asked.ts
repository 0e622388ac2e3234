/** What the edge doesn't know itself and asks the automation service for, for callers that reach the edge only: how months stand to their caps, what a boundary would let in and cost. */
import { ProblemError } from "../shared/problem";
import { automation } from "../shared/services";
import type { Problem, WhatIfRequest } from "../shared/wire";
import { visible } from "./access";
import type { ApiEnv } from "./env";
import { type Call, ok, type Operation, PARAMETERS, READ } from "./operation";

export const asked: Operation[] = [
  {
    id: "getSpend",
    method: "GET",
    path: "/v1/spend",
    tag: "ledger",
    summary: "Every monthly cap that the caller may see: paid, projected, standing",
    scopes: READ,
    query: { tenant: PARAMETERS.tenant ?? {} },
    answers: { 200: { model: "Spend" } },
    problems: [409, 503],
    handle: async (call) => {
      const tenant = visible(call, call.query.tenant);
      return ok(await ask(call.env, "GET", `/v1/spend${tenant === null ? "" : `?tenant=${tenant}`}`));
    },
  },
  {
    id: "checkBoundary",
    method: "POST",
    path: "/v1/boundaries",
    tag: "tenants",
    summary: "What a boundary would let in; nothing is stored",
    scopes: READ,
    body: { model: "BoundaryDocument" },
    answers: { 200: { model: "BoundaryCheck" } },
    problems: [503],
    handle: async (call) => ok(await ask(call.env, "POST", "/v1/boundaries", call.body), 200, { "cache-control": "private, max-age=60" }),
  },
  {
    id: "whatIf",
    method: "POST",
    path: "/v1/whatifs",
    tag: "tenants",
    summary: "What a changed boundary would cost a tenant's workloads, now and over recorded prices; nothing is stored",
    scopes: READ,
    body: { model: "WhatIfRequest" },
    answers: { 200: { model: "WhatIf" } },
    problems: [404, 409, 503],
    handle: tried,
  },
];

async function tried(call: Call): ReturnType<Operation["handle"]> {
  visible(call, (call.body as WhatIfRequest).tenant);
  return ok(await ask(call.env, "POST", "/v1/whatifs", call.body));
}

/** The service's answer; its problems with its own words, 503 where it doesn't answer. */
async function ask(env: ApiEnv, method: string, path: string, body?: unknown): Promise<unknown> {
  const answer = await automation(env.AUTH, env.AUTOMATION_URL, method, path, body).catch(() => null);
  if (answer === null || answer.status >= 500 || answer.status === 401 || answer.status === 403)
    throw new ProblemError(503, "automation-away", "The automation service doesn't answer", "it knows prices and boundaries; see `spotlane doctor`");
  const document = await answer.json();
  if (answer.ok) return document;
  const { type, title, detail } = document as Problem;
  throw new ProblemError(answer.status, type.split("/").at(-1) ?? "refused", title, detail ?? "");
}
