/** When a machine leaves rotation and comes back: pure, on checks as they come. */
import type { Health } from "../shared/wire";

export interface Standing {
  /** Bad checks in a row, and good ones. */
  failures: number;
  successes: number;
  /** Whether it belongs into rotation. */
  healthy: boolean;
}

export const FRESH: Standing = { failures: 0, successes: 0, healthy: true };

/** After one more check. Out after `unhealthy_count` bad ones in a row, back after `healthy_count` good ones: one of either changes nothing. */
export function after(standing: Standing, good: boolean, health: Pick<Health, "healthyCount" | "unhealthyCount">): Standing {
  const failures = good ? 0 : standing.failures + 1;
  const successes = good ? standing.successes + 1 : 0;
  const healthy = standing.healthy ? failures < health.unhealthyCount : successes >= health.healthyCount;
  return { failures, successes, healthy };
}

/** The pause before a placement's next check, ms: its interval, spread by a tenth to either side so that machines that came up together aren't checked together. */
export function pause(health: Pick<Health, "intervalSeconds">, leastMs: number, random: number): number {
  return Math.max(health.intervalSeconds * 1000 * (0.9 + random * 0.2), leastMs);
}
