// The heat map: tiles of the API over the floor plan, or over a plain grid where there is none. A map unit is a cell.

const L = window.L;
const GRID_LINES = 60;
const ZOOMS = { minZoom: -4, maxZoom: 8 };

export function showHeat(place, choices) {
  let maps = JSON.parse(place.dataset.maps);
  let shown = 0;
  let heat = null;
  const map = L.map(place, {
    crs: L.CRS.Simple,
    attributionControl: false,
    ...ZOOMS,
    zoomSnap: 0.25,
    scrollWheelZoom: false,
    maxBoundsViscosity: 1,
  });
  const layers = L.layerGroup().addTo(map);
  map.on("zoom", () => place.style.setProperty("--cell", `${2 ** map.getZoom()}px`));
  map.createPane("ground").classList.add("ground");

  function bounds() {
    const [bottom, left, top, right] = maps[shown].extent;
    return L.latLngBounds([bottom, left], [top, right]);
  }

  function draw() {
    const space = maps[shown];
    layers.clearLayers();
    layers.addLayer(space.plan === null ? grid(space, bounds()) : L.imageOverlay(space.plan, bounds(), { pane: "ground", className: "plan" }));
    warm();
  }

  // What is there stays until what comes is loaded.
  function warm() {
    const space = maps[shown];
    place.dataset.empty = space.isEmpty ? "Nobody was seen here today" : "";
    place.classList.toggle("loading", !space.isEmpty && heat === null);
    if (space.isEmpty) {
      return;
    }
    // At zoom 0 a pixel is a cell; the browser enlarges that smoothly, and few tiles are asked for.
    const [fresh, old] = [L.tileLayer(space.tiles, { ...ZOOMS, minNativeZoom: 0, maxNativeZoom: 0 }), heat];
    fresh.once("load", () => {
      place.classList.remove("loading");
      old?.remove();
    });
    heat = fresh.addTo(layers);
  }

  function fit() {
    map.setMaxBounds(bounds().pad(0.5));
    map.fitBounds(bounds(), { padding: [12, 12], animate: false });
  }

  function choose(index) {
    shown = index;
    for (const [other, button] of [...choices.children].entries()) {
      button.setAttribute("aria-pressed", String(other === shown));
    }
    heat = null;
    fit();
    draw();
  }

  function offer() {
    choices.hidden = maps.length < 2;
    choices.replaceChildren(
      ...maps.map((space, index) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = space.name;
        button.addEventListener("click", () => choose(index));
        return button;
      }),
    );
  }

  offer();
  choose(0);
  new ResizeObserver(() => {
    map.invalidateSize();
    fit();
  }).observe(place);

  return {
    update(fresh) {
      const names = JSON.stringify(maps.map((space) => space.tiles));
      const ground = JSON.stringify([maps[shown].extent, maps[shown].plan]);
      maps = fresh;
      if (JSON.stringify(maps.map((space) => space.tiles)) !== names) {
        offer();
        choose(0);
      } else if (JSON.stringify([maps[shown].extent, maps[shown].plan]) !== ground) {
        choose(shown);
      } else {
        warm();
      }
    },
  };
}

function grid(space, bounds) {
  const [west, east, south, north] = [bounds.getWest(), bounds.getEast(), bounds.getSouth(), bounds.getNorth()];
  let step = space.metresPerCell === null ? Math.max(east - west, north - south) / 12 : 1 / space.metresPerCell;
  while ((east - west) / step > GRID_LINES || (north - south) / step > GRID_LINES) {
    step *= 5;
  }
  const lines = [[[south, west], [south, east], [north, east], [north, west], [south, west]]];
  for (let x = Math.ceil(west / step) * step; x <= east; x += step) {
    lines.push([[south, x], [north, x]]);
  }
  for (let y = Math.ceil(south / step) * step; y <= north; y += step) {
    lines.push([[y, west], [y, east]]);
  }
  return L.polyline(lines, { pane: "ground", className: "grid", weight: 1, interactive: false });
}
