// Asking Segment Anything by keyboard: arrows move a cross over the picture, Enter asks there.

import { boxOf } from "./masks.js";
import { say } from "./texts.js";

const STEP = 0.03; // of the picture; with Shift
const SMALL = 0.005;
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Whether the key was meant for the cross.
export function aim(panel, event) {
  const way = WAYS[event.key];
  const at = panel.cross ?? [0.5, 0.5];
  if (way) {
    const step = event.shiftKey ? SMALL : STEP;
    panel.cross = at.map((each, axis) => Math.min(1, Math.max(0, each + way[axis] * step)));
    const [across, down] = panel.cross.map((each) => Math.round(each * 100) + " %");
    panel.say(say("aim", { across, down }));
  } else if (event.key === "Enter") {
    const { altKey, shiftKey } = event;
    panel.ask({ point: [...at, altKey ? 0 : 1], more: altKey || shiftKey });
  } else if (event.key === " ") {
    const { corner } = panel;
    panel.corner = corner ? null : at;
    if (corner) panel.ask({ box: boxOf(corner, at), more: event.shiftKey });
  } else return false;
  panel.drawTop();
  return true;
}
