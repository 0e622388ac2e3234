/** /logs: what machines tell of themselves, and who reads it. Lines are in no answer, no error and no log but what {@link logs} reads of their own object. */
import { workloadOf } from "../shared/ids";
import { logOf } from "../shared/logs";
import { ProblemError } from "../shared/problem";
import { placementBy } from "../shared/records";
import type { LogBatch, MachineLogs, WorkloadSpec } from "../shared/wire";
import { missing } from "./access";
import { type Call, ok, type Operation, PARAMETERS, READ, type Reply } from "./operation";
import { refuse } from "./serve";
import { known } from "./workloads";

/** Bytes of a batch: a machine sends at most 48 KiB. */
const BATCH_BYTES = 64 * 1024;
const LINES = 200;
/** Placements that are gone, the newest first, among which lines are looked for: they are kept for a day only. */
const GONE = 10;

/** Of a workload's machines the one that people mean: the first that serves, else the newest that is there. */
const PRESENT = `select id from placements where workload = ?1 and state not in ('DESTROYED', 'FAILED')
  order by state = 'SERVING' and id is ?2 desc, state = 'SERVING' desc, case when state = 'SERVING' then generation else -generation end limit 1`;
const ENDED = "select id from placements where workload = ? and state in ('DESTROYED', 'FAILED') order by generation desc limit ?";

export const logs: Operation[] = [
  {
    id: "tellLines",
    method: "POST",
    path: "/v1/logs",
    tag: "placements",
    summary: "A machine's own log lines, where its workload's file says `logs: true`: kept for a day, the last 2,000 and 256 KiB. What was told before is left aside",
    scopes: ["placement"],
    body: { model: "LogBatch" },
    bodyBytes: BATCH_BYTES,
    answers: { 200: { model: "LogTaken" } },
    problems: [404, 409, 429],
    quiet: true,
    handle: tell,
  },
  {
    id: "readMachineLogs",
    method: "GET",
    path: "/v1/workloads/{workload}/logs",
    tag: "workloads",
    summary: "Log lines of one of a workload's machines, oldest first: the first after number `after`, without it the last ones. The machine is `placement`, or the first that serves, else the newest",
    scopes: READ,
    of: "workload",
    query: {
      placement: PARAMETERS.placement ?? {},
      after: { type: "string", pattern: "^(?:0|[1-9][0-9]{0,15})$", "x-error": "must be a line's number, or 0 for the first lines that are kept" },
      limit: { type: "string", pattern: "^(?:[1-9][0-9]{0,2}|1000)$", "x-error": "must be a whole number from 1 to 1000" },
    },
    answers: { 200: { model: "MachineLogs" } },
    problems: [404],
    handle: read,
  },
];

async function tell({ env, claims, body }: Call): Promise<Reply> {
  const batch = body as LogBatch;
  if (claims.placement !== batch.placement) throw new ProblemError(403, "forbidden", "The token is of another placement", batch.placement);
  if (batch.first + batch.lines.length > Number.MAX_SAFE_INTEGER) refuse([{ path: "first", message: "is beyond the largest number of a line" }]);
  const row = await env.DB.prepare("select w.spec from placements p join workloads w on w.id = p.workload where p.id = ?").bind(batch.placement).first<{ spec: string }>();
  if (!row) throw missing(batch.placement);
  if (!tells(row.spec)) throw new ProblemError(409, "logs-off", "The workload's machines tell no lines", `its file doesn't say logs: true; ${batch.placement} needn't ask again`);
  const taken = await logOf(env, batch.placement).append(batch);
  if ("retryAfter" in taken) throw new ProblemError(429, "too-many-requests", "Too many batches of lines", `try again in ${taken.retryAfter} s`, { "retry-after": String(taken.retryAfter) });
  return ok(taken);
}

async function read({ env, params, query }: Call): Promise<Reply> {
  const id = params.workload ?? "";
  const { spec, placement: first } = await known(env.DB, id);
  const after = query.after === undefined ? null : Number(query.after);
  const limit = Number(query.limit ?? LINES);
  const shown = async (placement: string | null): Promise<Reply> => {
    const { any, ...kept } = placement === null ? { lines: [], next: 0, lost: 0, any: false } : await logOf(env, placement).read(placement, after, limit);
    const answer: MachineLogs = { ...kept, placement, told: any || tells(spec) };
    return ok(answer, 200, { "cache-control": "no-store" });
  };
  if (query.placement !== undefined) {
    if (workloadOf(query.placement) !== id || (await placementBy(env.DB, query.placement)) === null) throw missing(query.placement);
    return shown(query.placement);
  }
  const present = await env.DB.prepare(PRESENT).bind(id, first).first<{ id: string }>();
  return shown(present?.id ?? (await lastTold(env, id)));
}

/** The newest machine that is gone and whose lines are still kept; null where there is none. */
async function lastTold(env: Call["env"], workload: string): Promise<string | null> {
  const { results } = await env.DB.prepare(ENDED).bind(workload, GONE).all<{ id: string }>();
  const any = await Promise.all(results.map(async ({ id }) => (await logOf(env, id).read(id, null, 1)).any));
  return results[any.indexOf(true)]?.id ?? null;
}

/** A spec that was written before there were lines has no such field. */
function tells(spec: string): boolean {
  return (JSON.parse(spec) as Partial<WorkloadSpec>).logs === true;
}
