import type { Auth, Monitor } from "../shared/services";

export interface ControlEnv {
  PRICES: DurableObjectNamespace;
  AUTHORITIES: DurableObjectNamespace;
  BELLS: DurableObjectNamespace;
  AUTH: Auth;
  HEALTH: Monitor;
  MIGRATIONS: Workflow<{ id: string }>;
  DB: D1Database;
  ZONE: string;
  AUTOMATION_URL: string;
}
