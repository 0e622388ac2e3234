/** Names and ids (docs/architecture.md, "Names and ids"). */

export const TENANT = "^[a-z][a-z0-9]{1,19}$";
export const WORKLOAD = "^[a-z](?:-?[a-z0-9]){1,30}-[a-z][a-z0-9]{1,19}$";
export const PLACEMENT = "^[a-z][a-z0-9]{1,19}_[a-z](?:-?[a-z0-9]){1,30}_[0-9]{1,9}$";
export const DIGEST = "^sha256:[0-9a-f]{64}$";
const LABEL = new RegExp(WORKLOAD);

/** The tenant of a workload id: what follows its last hyphen. */
export function tenantOf(workload: string): string {
  return workload.slice(workload.lastIndexOf("-") + 1);
}

export function nameOf(workload: string): string {
  return workload.slice(0, workload.lastIndexOf("-"));
}

export function isLabel(text: string): boolean {
  return LABEL.test(text);
}

export function placementId(workload: string, generation: number): string {
  return `${tenantOf(workload)}_${nameOf(workload)}_${generation}`;
}

/** The workload that a placement or migration belongs to. */
export function workloadOf(placement: string): string {
  const [tenant = "", name = ""] = placement.split("_");
  return `${name}-${tenant}`;
}

export function generationOf(placement: string): number {
  return Number(placement.split("_")[2]);
}

export function originOf(workload: string, generation: number, zone: string): string {
  return `https://${workload}-${generation}.origins.${zone}`;
}

/** Where the relay reaches the machine's TCP service, through its tunnel. */
export function tcpOriginOf(workload: string, generation: number, zone: string): string {
  return `tcp-${workload}-${generation}.origins.${zone}`;
}
