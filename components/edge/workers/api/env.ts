import type { Auth, Monitor } from "../shared/services";

export interface ApiEnv {
  PRICES: DurableObjectNamespace;
  BELLS: DurableObjectNamespace;
  LOGS: DurableObjectNamespace;
  AUTH: Auth;
  HEALTH: Monitor;
  MIGRATIONS: Workflow<{ id: string }>;
  DB: D1Database;
  ARTIFACTS: R2Bucket;
  ASSETS: Fetcher;
  ZONE: string;
  AUTOMATION_URL: string;
}

export interface App {
  Bindings: ApiEnv;
}
