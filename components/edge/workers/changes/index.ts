/** The bells by which who follows changes is told to look. */
export { ChangeBell } from "./bell";

export default {
  fetch(): Response {
    return new Response("not found", { status: 404 });
  },
} satisfies ExportedHandler;
