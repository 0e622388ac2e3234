/** /workloads/{workload}/runs: what the engine did for a workload's moves, and what it does now. */
import { sha256 } from "../shared/digest";
import { automation } from "../shared/services";
import type { Run } from "../shared/wire";
import type { ApiEnv } from "./env";
import { type Operation, READ } from "./operation";
import { paged, rowsOf } from "./pages";

interface Ended {
  run: string;
  at: string;
  document: string;
}

interface Active {
  id: string;
  from_placement: string | null;
}

export const runs: Operation[] = [
  {
    id: "listRuns",
    method: "GET",
    path: "/v1/workloads/{workload}/runs",
    tag: "moves",
    summary: "The engine's runs for a workload's moves: what works or waits first, then what has ended, newest first. Kept for 30 days; without the stacks' outputs",
    scopes: READ,
    of: "workload",
    paged: true,
    answers: { 200: { items: "Run" } },
    handle: async ({ env, params, page }) => {
      const workload = params.workload ?? "";
      const select = "select r.run, r.at, r.document from run_events r join migrations m on m.id = r.migration";
      const rows = await rowsOf<Ended>(env.DB, select, { "m.workload = ?": workload }, { columns: ["r.at", "r.run"], descending: true }, page);
      const known = new Set(rows.map(({ run }) => run));
      const live = page.after ? [] : (await working(env, workload)).filter(({ id }) => !known.has(id));
      // A page may be longer than was asked for by what works now: at most a run of each step.
      const all = [...live.map((run) => ({ run: run.id, at: run.acceptedAt, document: JSON.stringify(run) })), ...rows];
      return paged(
        { ...page, limit: page.limit + live.length },
        all,
        ({ at, run }) => [at, run],
        ({ document }) => shown(JSON.parse(document) as Run),
      );
    },
  },
];

/** What a tenant reads of a run: outputs are between the stack and the platform. */
function shown(run: Run): Run {
  return { ...run, outputs: {} };
}

/** The runs of the moves under way that the saga hasn't been told of; none where the service doesn't answer, as they are of use to a reader only. */
async function working(env: ApiEnv, workload: string): Promise<Run[]> {
  const active = await env.DB.prepare("select id, from_placement from migrations where workload = ? and status = 'running'").bind(workload).all<Active>();
  const keys = active.results.flatMap(({ id, from_placement: from }) => ["address", "provision", "compensate", ...(from ? [`decommission:${from}`] : [])].map((key) => `${id}:${key}`));
  const found = await Promise.all(keys.map(async (key) => one(env, `run-${(await sha256(key)).slice(0, 24)}`)));
  return found.filter((run) => run !== null);
}

async function one(env: ApiEnv, id: string): Promise<Run | null> {
  try {
    const answer = await automation(env.AUTH, env.AUTOMATION_URL, "GET", `/v1/runs/${id}`);
    return answer.ok ? await answer.json<Run>() : null;
  } catch {
    return null;
  }
}
