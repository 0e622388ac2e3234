/** Countries as paths of an equirectangular map, {@link WIDTH} by {@link HEIGHT}, from Natural Earth's outlines (public domain) at 1:110 million. */
import { createRequire } from "node:module";
import { feature } from "topojson-client";

export const WIDTH = 960;
export const HEIGHT = 430;
/** What is drawn: from 84° north to 60° south. */
export const NORTH = 84;
export const SOUTH = -60;

const atlas = createRequire(import.meta.url)("world-atlas/countries-110m.json");

/** Longitudes that go on beyond 180° rather than come back at the other edge, across the whole map. */
function unwrapped(coordinates) {
  let turns = 0;
  return coordinates.map(([longitude, latitude], at) => {
    const step = at === 0 ? 0 : longitude - coordinates[at - 1][0];
    if (step > 180) turns -= 1;
    if (step < -180) turns += 1;
    return [longitude + 360 * turns, latitude];
  });
}

const point = ([longitude, latitude]) => [Math.round(((longitude + 180) / 360) * WIDTH), Math.round(((NORTH - Math.max(latitude, SOUTH)) / (NORTH - SOUTH)) * HEIGHT)];

function ring(coordinates) {
  const points = [];
  for (const each of unwrapped(coordinates).map(point)) {
    const last = points.at(-1);
    if (!last || last[0] !== each[0] || last[1] !== each[1]) points.push(each);
  }
  // Less than three points are no area at this scale.
  return points.length < 4 ? "" : `M${points.map((each) => each.join(" ")).join("L")}Z`;
}

/** `[name, path]` of each country that is large enough to be seen; Antarctica isn't. */
export function countries() {
  return feature(atlas, atlas.objects.countries)
    .features.filter(({ properties }) => properties.name !== "Antarctica")
    .map(({ geometry, properties }) => {
      const polygons = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
      return [properties.name, polygons.flatMap((polygon) => polygon.map(ring)).join("")];
    })
    .filter(([, path]) => path !== "");
}
