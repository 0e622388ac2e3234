/** The distances of the benchmark: durable object namespaces whose objects are so many milliseconds away, or not to be reached at all. */
import type { Hint } from "../../components/edge/workers/shared/route";

export const ZONE = "bench.test";

/** A region with its router host and its replica; `oneWayMs` is its distance from the authority. */
export interface Region {
  hint: Hint;
  oneWayMs: number;
}

export const REGIONS: Region[] = [
  { hint: "weur", oneWayMs: 5 },
  { hint: "enam", oneWayMs: 40 },
  { hint: "apac", oneWayMs: 85 },
  { hint: "oc", oneWayMs: 135 },
];
/** From a router to the replica of its region. */
export const NEAR_MS = 8;

/** A way between two places. While it is cut, what is sent on it is lost: the sender hears nothing. */
export interface Way {
  oneWayMs: number;
  cut: boolean;
}

const LOST_MS = 30_000;

async function pass(way: Way): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, way.oneWayMs));
  if (!way.cut) return;
  await new Promise((resolve) => setTimeout(resolve, LOST_MS));
  throw new Error("lost on the way");
}

/** A namespace seen from afar: which namespace, which name and which way is told by the object's name. */
export function distant(locate: (name: string) => { namespace: DurableObjectNamespace; name: string; way: Way }): DurableObjectNamespace {
  const get = ({ name }: { name: string }): unknown => {
    const place = locate(name);
    const stub = place.namespace.get(place.namespace.idFromName(place.name)) as unknown as Record<string, (...given: unknown[]) => Promise<unknown>>;
    const call =
      (method: string) =>
      async (...given: unknown[]): Promise<unknown> => {
        await pass(place.way);
        const answer = await (stub[method] as (...given: unknown[]) => Promise<unknown>)(...given);
        await pass(place.way);
        return answer;
      };
    return new Proxy({}, { get: (_, method) => (typeof method === "string" && method !== "then" ? call(method) : undefined) });
  };
  return { idFromName: (name: string) => ({ name }), get } as unknown as DurableObjectNamespace;
}

/** Has `POST /cut?on=1` cut ways, `?on=0` mend them; null for another request. */
export function cutting(request: Request, ways: Way[]): Response | null {
  const url = new URL(request.url);
  if (url.hostname !== "control" || url.pathname !== "/cut") return null;
  for (const way of ways) way.cut = url.searchParams.get("on") === "1";
  return new Response(null, { status: 204 });
}
