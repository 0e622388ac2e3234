/** Every operation of the API. */
import { alerts } from "./alerts";
import { artifacts } from "./artifacts";
import { asked } from "./asked";
import { changes } from "./changes";
import { keys } from "./keys";
import { ledger } from "./ledger";
import { logs } from "./logs";
import { migrations } from "./migrations";
import { document } from "./openapi";
import { ok, type Operation } from "./operation";
import { runs } from "./runs";
import { service } from "./service";
import { tenants } from "./tenants";
import { tokens } from "./tokens";
import { uploads } from "./uploads";
import { workloads } from "./workloads";

const self: Operation = {
  id: "openapi",
  method: "GET",
  path: "/openapi.json",
  tag: "service",
  summary: "This document",
  scopes: "none",
  answers: { 200: { schema: { type: "object", required: ["openapi", "info", "paths"] } } },
  handle: async ({ env }) => ok(document(OPERATIONS, env.ZONE), 200, { "cache-control": "public, max-age=300", "access-control-allow-origin": "*" }),
};

export const OPERATIONS: Operation[] = [
  ...service,
  self,
  ...tokens,
  ...keys,
  ...tenants,
  ...workloads,
  ...migrations,
  ...logs,
  ...runs,
  ...ledger,
  ...alerts,
  ...asked,
  ...artifacts,
  ...uploads,
  ...changes,
];
