declare module "virtual:land" {
  /** The field that is drawn on, and its first and last degree of latitude. */
  export const measures: { WIDTH: number; HEIGHT: number; NORTH: number; SOUTH: number };
  /** Name and path of each country in that field. */
  const countries: [string, string][];
  export default countries;
}
