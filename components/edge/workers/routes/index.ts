/** The routes of all tenants: RouteAuthority and its replicas. Reached by bindings only. */
export { RouteAuthority } from "./authority";
export { RouteReplica } from "./replica";

export default {
  fetch(): Response {
    return new Response("not found", { status: 404 });
  },
} satisfies ExportedHandler;
