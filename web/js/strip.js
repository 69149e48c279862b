// The distinct candidates, best first, each a tile: what is much alike is folded under one.

import { say } from "./texts.js";

const SIDE = 56; // pixels of a tile
const MARGIN = 0.15; // of the candidate's box, around it

export class Strip {
  // choose(index, event), hover(index or null)
  constructor(choose, hover) {
    this.choose = choose;
    this.hover = hover;
    this.element = document.createElement("div");
    this.element.className = "refdiff-strip";
    this.element.setAttribute("role", "listbox");
    this.element.setAttribute("aria-multiselectable", "true");
    this.element.setAttribute("aria-label", say("candidates"));
    this.element.dataset.captureWheel = "true";
    this.element.addEventListener("wheel", (event) => {
      this.element.scrollLeft += event.deltaY || event.deltaX;
      event.preventDefault();
      event.stopPropagation();
    });
    this.tiles = [];
  }

  show(image, masks, candidates) {
    const focused = this.focused;
    this.element.replaceChildren();
    this.tiles = candidates
      .map((each, index) => ({ each, index, twins: candidates.filter((c) => c.like === index) }))
      .filter(({ each, index }) => each.like === index)
      .map((tile, place) => this.add(image, masks, tile, place));
    if (focused) this.tiles[0]?.tile.focus();
  }

  get focused() {
    return this.element.contains(document.activeElement);
  }

  add(image, masks, { each, index, twins }, place) {
    const tile = document.createElement("button");
    tile.type = "button";
    tile.className = "refdiff-tile";
    tile.setAttribute("role", "option");
    tile.tabIndex = -1;
    tile.dataset.index = index;
    tile.append(thumbnail(image, masks, each, index));
    const label = tile.appendChild(document.createElement("span"));
    label.textContent = each.made ? "✎" : (each.rank ?? place + 1);
    tile.title = describe(each, twins.length);
    tile.setAttribute("aria-label", tile.title);
    tile.addEventListener("click", (event) => this.choose(index, event));
    tile.addEventListener("pointerenter", () => this.hover(index));
    tile.addEventListener("pointerleave", () => this.hover(null));
    this.element.append(tile);
    return { tile, index };
  }

  // chosen: indices; active: the one that the keyboard is at
  mark(chosen, active, candidates) {
    const shown = new Set(chosen.map((each) => candidates[each]?.like));
    const at = this.tiles.find(({ index }) => (active === null ? shown.has(index) : index === active));
    for (const { tile, index } of this.tiles) {
      tile.setAttribute("aria-selected", shown.has(index));
      tile.classList.toggle("refdiff-active", index === active);
      tile.tabIndex = tile === (at ?? this.tiles[0]).tile ? 0 : -1; // one stop for the tab key
    }
  }

  reveal(index) {
    const found = this.tiles.find((each) => each.index === index)?.tile;
    if (found) this.element.scrollLeft = found.offsetLeft - this.element.clientWidth / 2;
    if (this.focused) found?.focus({ preventScroll: true });
  }
}

export function describe(candidate, twins = 1) {
  const parts = [candidate.rank ? say("candidate", { rank: candidate.rank }) : say("byHand")];
  if (candidate.score !== null) parts.push(say("score", { score: candidate.score.toFixed(2) }));
  if (candidate.presence != null)
    parts.push(say("present", { presence: Math.round(candidate.presence * 100) + " %" }));
  if (twins > 1) parts.push(say("parts", { count: twins }));
  return parts.join(" · ");
}

function thumbnail(image, masks, { box }, index) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  const [x0, y0, x1, y1] = box;
  const side = Math.max(8, Math.max(x1 - x0, y1 - y0) * (1 + 2 * MARGIN));
  const scale = SIDE / side;
  const context = canvas.getContext("2d");
  const place = () => context.setTransform(
    scale, 0, 0, scale, SIDE / 2 - ((x0 + x1) / 2) * scale, SIDE / 2 - ((y0 + y1) / 2) * scale,
  );
  place();
  context.drawImage(image, 0, 0, masks.width, masks.height);
  context.lineJoin = "round";
  for (const [color, width] of [["rgba(0,0,0,.85)", 4], ["#ffd91a", 2]]) {
    context.strokeStyle = color;
    context.lineWidth = width / scale;
    context.stroke(masks.outline(index));
  }
  return canvas;
}
