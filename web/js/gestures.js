// Pointer and keys on the panel. What is meant for the panel does not reach the page behind it.

import { aim } from "./aim.js";
import { boxOf } from "./masks.js";
import { describe } from "./strip.js";

const DRAG = { mouse: 6, pen: 6, touch: 16 }; // pixels on the screen from which on a press is a box

export function listenTo(panel) {
  const surface = panel.view.top;
  let press = null; // where the pointer went down
  let cycle = null; // a second click at the same place takes the next candidate there
  const isAgain = (event) => cycle?.answer === panel.answer && same(cycle.at, event);

  surface.addEventListener("pointerdown", (event) => {
    event.stopPropagation();
    if (event.button !== 0) return;
    surface.focus({ preventScroll: true });
    surface.setPointerCapture(event.pointerId);
    press = { at: panel.view.grid ? panel.view.at(event) : [0, 0], x: event.clientX, y: event.clientY };
  });

  surface.addEventListener("pointermove", (event) => {
    if (!panel.image) return;
    const at = panel.view.at(event);
    if (press && Math.hypot(event.clientX - press.x, event.clientY - press.y) > DRAG[event.pointerType])
      press.box = true;
    if (press?.box) return panel.drawTop(boxOf(press.at, at));
    const here = panel.mode === "point" ? [] : panel.under(at);
    const index = isAgain(event) ? cycle.index : (here[0] ?? null);
    surface.style.cursor = index === null ? "crosshair" : "pointer";
    panel.hover(index, isAbove(panel, event), here);
  });

  surface.addEventListener("pointerup", (event) => {
    event.stopPropagation();
    if (!press || !panel.image) return void (press = null);
    const { box, at: from } = press;
    const at = panel.view.at(event);
    press = null;
    if (box) return panel.ask({ box: boxOf(from, at), more: event.shiftKey }), panel.drawTop();
    click(at, event);
  });

  surface.addEventListener("pointercancel", () => {
    press = null;
    panel.drawTop();
  });
  surface.addEventListener("pointerleave", () => panel.hover(null));

  function click(at, event) {
    if (at.some((each) => each < 0 || each >= 1)) return;
    const here = panel.mode === "point" ? [] : panel.under(at);
    if (!here.length) {
      const inside = event.altKey || panel.mode === "remove" ? 0 : 1;
      const more = event.altKey || event.shiftKey || panel.mode === "add" || panel.mode === "remove";
      return panel.ask({ point: [...at, inside], more });
    }
    const remove = event.altKey || panel.mode === "remove";
    const chosen = remove && here.find((each) => panel.isChosen(each));
    if (chosen !== undefined && chosen !== false) return panel.choose(chosen, event);
    const index = here[isAgain(event) ? (here.indexOf(cycle.index) + 1) % here.length : 0];
    cycle = { answer: panel.answer, at: [event.clientX, event.clientY], index };
    panel.choose(index, event);
    panel.hover(index, isAbove(panel, event), here);
  }

  for (const each of ["click", "dblclick", "contextmenu"])
    panel.element.addEventListener(each, (event) => event.stopPropagation());
  surface.addEventListener("contextmenu", (event) => event.preventDefault());
  panel.element.addEventListener("pointerdown", (event) => event.stopPropagation());
  panel.element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey) return; // undo, copy, run: the page's
    event.stopPropagation();
    if (event.target.type === "range" || event.target.type === "checkbox") return;
    if (pressKey(panel, event)) event.preventDefault();
  });
}

const same = ([x, y], event) => Math.hypot(event.clientX - x, event.clientY - y) < 3;

// Whether the pointer is in the upper half, where the tip would be in its way.
function isAbove(panel, event) {
  const rect = panel.view.element.getBoundingClientRect();
  return event.clientY - rect.top < rect.height / 2;
}

// Whether the key was meant for the panel.
function pressKey(panel, event) {
  if (event.target === panel.view.top && panel.mode === "point" && aim(panel, event)) return true;
  const tiles = panel.strip.tiles.map((each) => each.index);
  const number = event.code?.match(/^(?:Digit|Numpad)([1-9])$/)?.[1];
  if (number) {
    // the tile that shows it, of those much alike one for all
    const wanted = panel.candidates.find((each) => each.rank === +number);
    if (wanted) panel.choose(wanted.like, event);
    return true;
  }
  switch (event.key) {
    case "ArrowRight":
    case "ArrowLeft":
      move(panel, tiles, event.key === "ArrowRight" ? 1 : -1);
      return true;
    case "ArrowUp":
    case "ArrowDown":
      panel.open(panel.tab + (event.key === "ArrowDown" ? 1 : -1));
      return true;
    case "PageUp":
    case "PageDown":
      panel.turn(panel.page + (event.key === "PageDown" ? 1 : -1));
      return true;
    case "Enter":
    case " ":
      return pressEnter(panel, event);
    case "Escape":
      panel.clear();
      return true;
  }
  return event.key === "Delete" || event.key === "Backspace";
}

function pressEnter(panel, event) {
  const { tagName, dataset } = event.target;
  if (tagName === "BUTTON" && !dataset.index) return false; // its own
  const index = dataset.index ? +dataset.index : panel.active;
  if (index !== null) panel.choose(index, event);
  return true;
}

function move(panel, tiles, step) {
  if (!tiles.length) return;
  const first = tiles.indexOf(panel.active ?? panel.chosen[0]);
  const place = panel.active === null && first < 0 ? 0 : first + step;
  panel.active = tiles[(place + tiles.length) % tiles.length];
  panel.strip.mark(panel.chosen, panel.active, panel.candidates);
  panel.strip.reveal(panel.active);
  panel.hover(panel.active);
  panel.say(describe(panel.candidates[panel.active]));
}
