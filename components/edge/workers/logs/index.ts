/** The lines that machines tell, each placement's by itself. */
export { MachineLog } from "./ring";

export default {
  fetch(): Response {
    return new Response("not found", { status: 404 });
  },
} satisfies ExportedHandler;
