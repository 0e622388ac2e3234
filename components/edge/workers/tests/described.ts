/** The API's own document, by which a test knows what may be asked and what may be answered. */
import type { Response } from "miniflare";
import { faultsBy, type Schema } from "../shared/validate";

export interface Described1 {
  operationId: string;
  security: object[];
  "x-scopes"?: string[];
  parameters: { name: string; in: string; required: boolean; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }>; "x-limit-bytes": number };
  responses: Record<string, { content?: Record<string, { schema: Schema }> }>;
}

export interface Route extends Described1 {
  method: string;
  path: string;
}

export class Described {
  readonly routes: Route[];

  constructor(readonly document: unknown) {
    const { paths } = document as { paths: Record<string, Record<string, Described1>> };
    this.routes = Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, one]) => ({ ...one, method: method.toUpperCase(), path })));
  }

  /** The route that a request meets; null for an address that isn't the API's. */
  find(method: string, target: string): Route | null {
    const parts = (target.split("?")[0] ?? "").split("/");
    const fits = ({ path }: Route): boolean => {
      const pattern = path.split("/");
      return pattern.length === parts.length && pattern.every((part, at) => part.startsWith("{") || part === parts[at]);
    };
    const found = this.routes.filter((route) => route.method === (method === "HEAD" ? "GET" : method) && fits(route));
    return found.find(({ path }) => !path.includes("{")) ?? found[0] ?? null;
  }

  /** Throws where an answer isn't one that the document promises. */
  async check(method: string, target: string, answer: Response): Promise<void> {
    const route = this.find(method, target);
    if (!route) {
      if (answer.status !== 404 && answer.status !== 405 && method !== "OPTIONS") throw new Error(`${method} ${target} is in no document and answered ${answer.status}`);
      return;
    }
    const promised = route.responses[answer.status];
    if (!promised) throw new Error(`${method} ${target} answered ${answer.status}, which ${route.operationId} doesn't promise: ${await answer.clone().text()}`);
    if (method === "HEAD") return;
    const type = answer.headers.get("content-type");
    if (!promised.content) {
      if ((await answer.clone().text()) !== "") throw new Error(`${method} ${target} answered ${answer.status} with a body`);
      return;
    }
    const content = promised.content[type ?? ""];
    if (!content) throw new Error(`${method} ${target} answered ${answer.status} as ${type}, not as ${Object.keys(promised.content)}`);
    if (!type?.includes("json")) return;
    const faults = faultsBy(content.schema, await answer.clone().json());
    if (faults.length > 0) throw new Error(`${method} ${target} answered what ${route.operationId} doesn't promise: ${JSON.stringify(faults)}`);
  }
}
