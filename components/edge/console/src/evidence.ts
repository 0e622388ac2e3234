/** What a decision was reckoned from, in words and figures. */
import type { Evidence } from "../../workers/shared/wire";
import { dollars, hourly, percent } from "./figures";

/** Names and figures of what an offer is expected to cost, as far as the decision knew them. */
export function costRows({ expectedUsdPerHour, parts, asking, netSavingUsd, horizonHours, hurdle }: Evidence): [string, string][] {
  const rows: [string, string][] = [["Expected, all in", `${hourly(expectedUsdPerHour)} an hour`]];
  if (parts)
    rows.push(
      ["Spot price", `${hourly(parts.spotUsdPerHour)} an hour`],
      ["Egress of the service", `${hourly(parts.egressUsdPerHour)} an hour`],
      ["Risk of an interruption", `${hourly(parts.riskUsdPerHour)} an hour`],
      ["Carrying the state over", dollars(parts.carryUsd)],
      ["Both machines for a while", dollars(parts.overlapUsd)],
    );
  if (asking) rows.push(["Refusals to be expected", `${dollars(asking.expectedUsd)}, at ${percent(asking.chance)} a time`]);
  if (netSavingUsd !== null) rows.push(["Net saving", `${dollars(netSavingUsd)} over ${Math.round(horizonHours)} h`]);
  if (hurdle) rows.push(["Gap to clear", `${hourly(hurdle.gapUsdPerHour)} of ${hourly(hurdle.leastGapUsdPerHour)} an hour; regret ${dollars(hurdle.regretUsd)} of ${dollars(hurdle.leastRegretUsd)}`]);
  return rows;
}
