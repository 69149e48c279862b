// Inputs that are rarely used, and those that the panel has sliders for, are folded away: on the
// canvas by us, in Nodes 2.0, which has a button for it, by the page.

import { app } from "../../../scripts/app.js";

const OPEN = "refdiff_settings";
const ON_THE_PANEL = ["threshold", "grow", "feather", "fill", "invert"];

export function advancedNames(definition) {
  const { required = {}, optional = {} } = definition.input ?? {};
  return Object.entries({ ...required, ...optional })
    .filter(([name, spec]) => spec[1]?.advanced || ON_THE_PANEL.includes(name))
    .map(([name]) => name);
}

export function hide(widget, hidden = true) {
  widget.hidden = hidden; // the canvas; Nodes 2.0 goes by the options
  if (hidden) widget.computeSize = () => [0, -4]; // 0.3.64 leaves a row otherwise
  else delete widget.computeSize;
}

export function fold(node) {
  const open = Boolean(node.properties?.[OPEN]);
  const linked = new Set(
    (node.inputs ?? []).filter((each) => each.link != null).map((each) => each.widget?.name),
  );
  for (const each of node.widgets ?? []) {
    if (!node.constructor.refdiffAdvanced?.includes(each.name)) continue;
    each.options.advanced = true;
    hide(each, !open && !linked.has(each.name));
  }
}

// Nodes 2.0 has a button of its own.
export const hasFold = (node) =>
  node.constructor.refdiffAdvanced?.length > 0 && !window.LiteGraph?.vueNodesMode;

export function toggleFold(node) {
  node.setProperty(OPEN, !node.properties?.[OPEN]);
  fold(node);
  const least = node.computeSize();
  node.setSize([node.size[0], Math.max(node.size[1], least[1])]);
  app.canvas?.setDirty(true, true);
}
