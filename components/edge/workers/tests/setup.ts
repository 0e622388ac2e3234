/** The bundles that the tests run are those of the sources as they stand. */
export async function setup(): Promise<void> {
  await import("../build.mjs" as string);
}
