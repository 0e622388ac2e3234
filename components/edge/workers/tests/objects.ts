/** The durable objects that are tested one by one. */
export { AuthKeys } from "../auth/keys";
export { ChangeBell } from "../changes/bell";
export { PriceEngine } from "../control/prices";
export { HealthMonitor } from "../health/monitor";
export { MachineLog } from "../logs/ring";
export { RouteAuthority } from "../routes/authority";
export { RouteReplica } from "../routes/replica";

export default {
  fetch(): Response {
    return new Response("not found", { status: 404 });
  },
} satisfies ExportedHandler;
