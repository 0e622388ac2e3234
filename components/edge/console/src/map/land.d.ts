declare module "virtual:land" {
  /** Name and path of each country, in a field of 960 by 430 from 84° north to 60° south. */
  const countries: [string, string][];
  export default countries;
}
