/** The trace of a migration follows from its id; `automation/tracing.py` derives the same (W3C Trace Context). */
import { sha256 } from "./digest";

export async function traceparent(migration: string): Promise<string> {
  const digest = await sha256(`spotlane migration ${migration}`);
  return `00-${digest.slice(0, 32)}-${digest.slice(32, 48)}-01`;
}
