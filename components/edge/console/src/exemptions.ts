/** Exemptions as a boundary's document holds them. */
export interface Exemption {
  rule: string;
  owner: string;
  reason: string;
  /** A day ends at its end, UTC. */
  expires: string;
  resource?: string;
  regions?: string[];
  clouds?: string[];
}

const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** The document's exemptions, each with the moment of its end. */
export function exemptionsOf(boundary: Record<string, unknown>): Exemption[] {
  return ((boundary.exemptions ?? []) as Exemption[]).map((one) => (DAY.test(one.expires) ? { ...one, expires: `${one.expires}T23:59:59Z` } : one));
}

/** Those of `rule` that hold at `now`. */
export function holding(exemptions: Exemption[], rule: string, now: number): Exemption[] {
  return exemptions.filter((one) => one.rule === rule && Date.parse(one.expires) >= now);
}
