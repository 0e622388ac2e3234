/**
 * What an operation of the API is: its address, who may call it, what it takes and what it answers.
 *
 * Routing, checks and the OpenAPI document all come from these values, so a route that isn't documented can't exist.
 */
import { DIGEST, PLACEMENT, TENANT, WORKLOAD } from "../shared/ids";
import type { Claims } from "../shared/jwt";
import type { Schema } from "../shared/validate";
import type { ApiEnv } from "./env";
import type { Page } from "./pages";

export type Method = "GET" | "PUT" | "POST" | "DELETE";

export interface Content {
  /** A wire model, or a list of it. */
  model?: string;
  list?: string;
  /** `{items, next}` of a wire model. */
  items?: string;
  /** A schema of its own, for documents that are no wire model. */
  schema?: Schema;
  /** Bytes of this media type. */
  media?: string;
}

export interface Operation {
  id: string;
  method: Method;
  /** `/v1/workloads/{workload}`; each name in braces is one of {@link PARAMETERS}. */
  path: string;
  tag: string;
  summary: string;
  /** The caller holds one of these; `none` needs no token. */
  scopes: readonly string[] | "none";
  /** The parameter that says whose thing it is; another tenant's doesn't exist for the caller. */
  of?: "tenant" | "workload" | "placement" | "migration";
  query?: Record<string, Schema>;
  /** Answers a page: `limit` and `cursor` are taken. */
  paged?: true;
  body?: Content;
  /** Most bytes of the body, where it isn't {@link BODY_BYTES}. */
  bodyBytes?: number;
  /** By status; null for an answer without content. */
  answers: Record<number, Content | null>;
  /** Statuses of problems beyond those that every operation may answer. */
  problems?: number[];
  /** Takes `Idempotency-Key`. */
  idempotent?: true;
  /** Takes `If-Match` and `If-None-Match: *`. */
  conditional?: true;
  /** Rings no bell: nothing changes by it that anybody follows. */
  quiet?: true;
  handle(call: Call): Promise<Reply>;
}

export interface Call {
  env: ApiEnv;
  request: Request;
  url: URL;
  /** Of the caller; without any scope where the operation needs no token. */
  claims: Claims;
  /** The caller's scopes with what they hold. */
  scopes: Set<string>;
  params: Record<string, string>;
  query: Record<string, string>;
  /** The validated document, complete; the bytes of a media body are read from `request`. */
  body: unknown;
  page: Page;
  later(work: Promise<unknown>): void;
}

export type Reply = Response | { status: number; document?: unknown; headers?: Record<string, string> };

export const ok = (document: unknown, status = 200, headers: Record<string, string> = {}): Reply => ({ status, document, headers });
export const done = (status = 204): Reply => ({ status });

export const BODY_BYTES = 1024 * 1024;

/** Parameters of paths; what doesn't match is refused before anything is looked up. */
export const PARAMETERS: Record<string, Schema> = {
  tenant: { type: "string", pattern: TENANT },
  workload: { type: "string", pattern: WORKLOAD },
  placement: { type: "string", pattern: PLACEMENT },
  migration: { type: "string", pattern: PLACEMENT },
  digest: { type: "string", pattern: DIGEST },
  key: { type: "string", pattern: "^key_[0-9a-f]{16}$" },
  upload: { type: "string", pattern: "^up_[0-9a-f]{16}$" },
  part: { type: "string", pattern: "^[1-9][0-9]{0,3}$" },
};

/** A calendar month, `YYYY-MM`. */
export const MONTH: Schema = { type: "string", pattern: "^[0-9]{4}-(?:0[1-9]|1[0-2])$" };

export const READ = ["tenant:read"] as const;
export const DEPLOY = ["tenant:deploy"] as const;
export const ADMIN = ["tenant:admin"] as const;
export const PLATFORM = ["platform:admin"] as const;
export const AUTOMATION = ["service:automation"] as const;
