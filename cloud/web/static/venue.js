// Keeps a venue's page alive: the people here now from one stream, everything else by asking for the page anew.

import { showHeat } from "./heat.js";

const REFRESH_MS = 60_000;
const PATIENCE_MS = 6_000;

const now = document.querySelector("#now");
const lost = document.querySelector("#lost");
let figures = null;
let loadedAt = new Date();
let patience = null;

function part(name) {
  return now.querySelector(`[data-live="${name}"]`);
}

function grouped(number) {
  return number === null ? "–" : number.toLocaleString("en");
}

function clock(moment) {
  return moment.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

function showLive() {
  now.dataset.freshness = figures.freshness;
  part("people").textContent = grouped(figures.people);
  const words = part("freshness").dataset[figures.freshness];
  part("freshness").textContent = words.replace("{at}", (figures.at ?? "").slice(11, 16));
  part("inside").hidden = figures.inside === null;
  part("inside-number").textContent = grouped(figures.inside);
  const capacity = Number(now.dataset.capacity);
  if (capacity) {
    const percent = Math.min(100, (100 * (figures.people ?? 0)) / capacity);
    now.querySelector(".meter .fill").setAttribute("width", `${percent}%`);
  }
  showZones();
}

function showZones() {
  const spoken = figures.freshness === "stale" ? [] : figures.zones;
  const people = new Map(spoken.map((zone) => [`${zone.box}/${zone.zone}`, zone.people]));
  for (const cell of document.querySelectorAll("[data-zone]")) {
    cell.textContent = grouped(people.get(cell.dataset.zone) ?? null);
  }
}

function follow() {
  const stream = new EventSource(now.dataset.stream);
  stream.addEventListener("live", (event) => {
    figures = JSON.parse(event.data);
    showLive();
  });
  stream.addEventListener("open", () => {
    clearTimeout(patience);
    patience = null;
    now.classList.remove("cut");
  });
  stream.addEventListener("error", () => {
    // Each try that fails is an error too: patience runs from the first of them.
    patience ??= setTimeout(() => {
      now.classList.add("cut");
      part("freshness").textContent = "Connection lost, trying again";
    }, PATIENCE_MS);
    if (stream.readyState === EventSource.CLOSED) {
      setTimeout(follow, PATIENCE_MS);
      refresh();
    }
  });
}

async function refresh() {
  if (document.hidden) {
    return;
  }
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (answer.redirected) {
      // The session is over: sign in, and come back.
      location.assign(answer.url);
      return;
    }
    if (!answer.ok) {
      throw new Error(`status ${answer.status}`);
    }
    replaceParts(new DOMParser().parseFromString(await answer.text(), "text/html"));
    loadedAt = new Date();
    lost.hidden = true;
  } catch {
    lost.querySelector("[data-since]").textContent = clock(loadedAt);
    lost.hidden = false;
  }
}

function replaceParts(fresh) {
  const isOpen = document.querySelector("#hours-table")?.open ?? false;
  for (const old of document.querySelectorAll("[data-part]")) {
    const made = fresh.getElementById(old.id);
    if (made !== null) {
      old.replaceChildren(...made.childNodes);
    }
  }
  const table = document.querySelector("#hours-table");
  if (table !== null) {
    table.open = isOpen;
  }
  if (figures !== null) {
    showZones();
  }
  const map = fresh.querySelector("#map");
  if (map !== null && heat === null) {
    location.reload();
  } else if (map !== null) {
    heat.update(JSON.parse(map.dataset.maps));
  }
}

const map = document.querySelector("#map");
const heat = map === null ? null : showHeat(map, document.querySelector("[data-choices]"));
follow();
setInterval(refresh, REFRESH_MS);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && Date.now() - loadedAt > REFRESH_MS) {
    refresh();
  }
});
