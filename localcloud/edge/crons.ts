/** Cron triggers: five fields, minute grain, UTC (https://developers.cloudflare.com/workers/configuration/cron-triggers/). */

const DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

const FIELDS = [
  { name: "minute", low: 0, high: 59, words: [] as string[], first: 0 },
  { name: "hour", low: 0, high: 23, words: [] as string[], first: 0 },
  { name: "day of month", low: 1, high: 31, words: [] as string[], first: 0 },
  { name: "month", low: 1, high: 12, words: MONTHS, first: 1 },
  { name: "day of week", low: 1, high: 7, words: DAYS, first: 1 },
] as const;

/** An expression is not a cron trigger of Cloudflare. */
export class BadCron extends Error {}

type Field = (typeof FIELDS)[number];

function numberOf(text: string, field: Field): number {
  const word = (field.words as readonly string[]).indexOf(text.toUpperCase());
  const value = word >= 0 ? word + field.first : Number(text);
  if (!/^[0-9]+$/.test(text) && word < 0) throw new BadCron(`${field.name}: ${text} is neither a number nor a name`);
  if (value < field.low || value > field.high) throw new BadCron(`${field.name}: ${text} is outside ${field.low}-${field.high}`);
  return value;
}

function valuesOf(text: string, field: Field): Set<number> {
  const values = new Set<number>();
  for (const part of text.split(",")) {
    const [range = "", step = "1"] = part.split("/");
    const every = Number(step);
    if (!Number.isInteger(every) || every < 1) throw new BadCron(`${field.name}: step ${step} is not a positive number`);
    const [from = "", to] = range.split("-");
    const low = range === "*" ? field.low : numberOf(from, field);
    const high = range === "*" ? field.high : to !== undefined ? numberOf(to, field) : part.includes("/") ? field.high : low;
    for (let value = low; value <= high; value += every) values.add(value);
  }
  return values;
}

/** Takes an expression apart. Throws {@link BadCron}. Days of the week count from 1 = Sunday, as Cloudflare's do. */
export function parseCron(expression: string): (at: Date) => boolean {
  const parts = expression.trim().split(/\s+/);
  if (parts.length !== FIELDS.length) throw new BadCron(`${expression}: five fields are needed`);
  const [minutes, hours, days, months, weekdays] = FIELDS.map((field, index) => valuesOf(parts[index] as string, field)) as [Set<number>, Set<number>, Set<number>, Set<number>, Set<number>];
  const anyDay = parts[2] === "*";
  const anyWeekday = parts[4] === "*";
  return (at) => {
    const day = days.has(at.getUTCDate());
    const weekday = weekdays.has(at.getUTCDay() + 1);
    const dayFits = anyDay ? weekday : anyWeekday ? day : day || weekday;
    return minutes.has(at.getUTCMinutes()) && hours.has(at.getUTCHours()) && months.has(at.getUTCMonth() + 1) && dayFits;
  };
}

export interface Scheduled {
  script: string;
  cron: string;
}

/** Calls `trigger` at each minute for what is due in it. */
export class Scheduler {
  #timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly schedules: () => Scheduled[],
    private readonly trigger: (due: Scheduled, at: Date) => void,
  ) {}

  start(): void {
    const wait = 60_000 - (Date.now() % 60_000);
    this.#timer = setTimeout(() => {
      const at = new Date(Math.round(Date.now() / 60_000) * 60_000);
      for (const due of this.schedules()) if (parseCron(due.cron)(at)) this.trigger(due, at);
      this.start();
    }, wait);
  }

  stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
  }
}
