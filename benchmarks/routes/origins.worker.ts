/** All machines: whoever asks `<label>-<generation>.origins.<zone>` is told which generation was reached, and when. */
export default {
  fetch(request): Response {
    const generation = Number(/-(\d+)\.origins\./.exec(new URL(request.url).hostname)?.[1]);
    return Response.json({ generation, at: Date.now() });
  },
} satisfies ExportedHandler;
