/** Validates what comes in by the JSON Schemas generated from the Python models, and fills defaults in: the part of JSON Schema that they use. */
import schemas from "./wire.schema.json";

export interface Fault {
  path: string;
  message: string;
}

export interface Schema {
  $ref?: string;
  description?: string;
  default?: unknown;
  type?: string;
  const?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  items?: Schema;
  pattern?: string;
  /** What to say of a text that hasn't the form; else the pattern itself. */
  "x-error"?: string;
  format?: string;
  minItems?: number;
  maxItems?: number;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
}

export const definitions = schemas as unknown as Record<string, Schema>;
const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

const patterns = new Map<string, RegExp>();

/** Every fault of `value` against the model `name`; empty where it is valid. */
export function faultsOf(name: string, value: unknown): Fault[] {
  return faultsBy(model(name), value);
}

export function faultsBy(schema: Schema, value: unknown): Fault[] {
  const faults: Fault[] = [];
  check(schema, value, "", faults);
  return faults;
}

export function model(name: string): Schema {
  return { $ref: `#/$defs/${name}` };
}

/** A valid document of the model `name` with what was left out, as the Python models have it. */
export function completed(name: string, value: unknown): unknown {
  return complete(model(name), value);
}

function complete(schema: Schema, value: unknown): unknown {
  if (schema.$ref) return complete(resolved(schema.$ref), value);
  if (schema.anyOf) {
    const fitting = schema.anyOf.find((one) => faultsBy(one, value).length === 0);
    return fitting ? complete(fitting, value) : value;
  }
  if (Array.isArray(value)) return schema.items ? value.map((one) => complete(schema.items ?? {}, one)) : value;
  if (!schema.properties || typeof value !== "object" || value === null) return value;
  const filled: Record<string, unknown> = { ...value };
  for (const [field, part] of Object.entries(schema.properties)) {
    if (Object.hasOwn(filled, field)) filled[field] = complete(part, filled[field]);
    else if (part.default !== undefined) filled[field] = structuredClone(part.default);
  }
  return filled;
}

function resolved(reference: string): Schema {
  return definitions[reference.split("/").pop() ?? ""] ?? {};
}

function matches(pattern: string, text: string): boolean {
  const known = patterns.get(pattern) ?? new RegExp(pattern);
  patterns.set(pattern, known);
  return known.test(text);
}

function check(schema: Schema, value: unknown, path: string, faults: Fault[]): void {
  const say = (message: string): void => void faults.push({ path: path || "(body)", message });
  if (schema.$ref) return check(resolved(schema.$ref), value, path, faults);
  if (schema.anyOf) {
    const tries = schema.anyOf.map((one) => {
      const found: Fault[] = [];
      check(one, value, path, found);
      return found;
    });
    if (tries.some((found) => found.length === 0)) return;
    const nearest = tries.filter((_, at) => schema.anyOf?.[at]?.type !== "null").sort((one, other) => one.length - other.length)[0];
    return void faults.push(...(nearest ?? [{ path, message: "has no allowed form" }]));
  }
  if (schema.const !== undefined && value !== schema.const) return say(`must be ${JSON.stringify(schema.const)}`);
  if (schema.enum && !schema.enum.includes(value)) return say(`must be one of ${schema.enum.join(", ")}`);
  switch (schema.type) {
    case "object":
      return checkObject(schema, value, path, faults);
    case "array":
      if (!Array.isArray(value)) return say("must be a list");
      if (schema.minItems !== undefined && value.length < schema.minItems) say(`must have at least ${schema.minItems} entries`);
      if (schema.maxItems !== undefined && value.length > schema.maxItems) say(`must have at most ${schema.maxItems} entries`);
      value.forEach((one, at) => void check(schema.items ?? {}, one, `${path}[${at}]`, faults));
      return;
    case "string":
      if (typeof value !== "string") return say("must be a text");
      if (schema.pattern && !matches(schema.pattern, value)) say(schema["x-error"] ?? `must match ${schema.pattern}`);
      if (schema.format === "date-time" && (!DATE.test(value) || Number.isNaN(Date.parse(value)))) say("must be a time as in 2026-01-31T12:00:00Z");
      if (schema.minLength !== undefined && value.length < schema.minLength) say(`must have at least ${schema.minLength} characters`);
      // By characters, as Python counts them: one beyond the 16-bit plane is one.
      if (schema.maxLength !== undefined && value.length > schema.maxLength && [...value].length > schema.maxLength) say(`must have at most ${schema.maxLength} characters`);
      return;
    case "integer":
    case "number":
      return checkNumber(schema, value, say);
    case "boolean":
      if (typeof value !== "boolean") say("must be true or false");
      return;
    case "null":
      if (value !== null) say("must be null");
  }
}

function checkNumber(schema: Schema, value: unknown, say: (message: string) => void): void {
  if (typeof value !== "number" || !Number.isFinite(value)) return say("must be a number");
  if (schema.type === "integer" && !Number.isInteger(value)) return say("must be a whole number");
  if (schema.minimum !== undefined && value < schema.minimum) say(`must be at least ${schema.minimum}`);
  if (schema.maximum !== undefined && value > schema.maximum) say(`must be at most ${schema.maximum}`);
  if (schema.exclusiveMinimum !== undefined && value <= schema.exclusiveMinimum) say(`must be greater than ${schema.exclusiveMinimum}`);
  if (schema.exclusiveMaximum !== undefined && value >= schema.exclusiveMaximum) say(`must be less than ${schema.exclusiveMaximum}`);
}

function checkObject(schema: Schema, value: unknown, path: string, faults: Fault[]): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return void faults.push({ path: path || "(body)", message: "must be an object" });
  const given = value as Record<string, unknown>;
  const at = (field: string): string => (path ? `${path}.${field}` : field);
  for (const field of schema.required ?? []) if (!Object.hasOwn(given, field)) faults.push({ path: at(field), message: "is required" });
  for (const [field, part] of Object.entries(given)) {
    // Own fields only: a document's `constructor` is not that of every object.
    const known = schema.properties && Object.hasOwn(schema.properties, field) ? schema.properties[field] : undefined;
    if (known) check(known, part, at(field), faults);
    else if (schema.additionalProperties === false) faults.push({ path: at(field), message: "is not a field of this document" });
    else if (typeof schema.additionalProperties === "object") check(schema.additionalProperties, part, at(field), faults);
  }
}
