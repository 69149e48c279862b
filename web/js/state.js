// What the hand chose, kept in the node's hidden text (nodes/_choice.py says how), so that it is
// saved, copied and undone with the graph.

import { app } from "../../../scripts/app.js";

const MOST_PICTURES = 24; // the last ones that something was chosen on

export class State {
  constructor(node) {
    this.node = node;
    this.widget = node.widgets?.find((each) => each.name === "panel");
  }

  get all() {
    try {
      return JSON.parse(this.widget.value || "{}") ?? {};
    } catch {
      return {};
    }
  }

  // What was chosen on a picture: picks by expression, and candidates made by hand.
  of(picture) {
    const { picks = {}, made = [] } = this.all[picture] ?? {};
    return { picks, made };
  }

  picks(picture, text) {
    const { picks } = this.of(picture);
    return Object.hasOwn(picks, text) ? picks[text] : []; // an expression may be "constructor"
  }

  // Is something chosen, but on other pictures than these?
  belongsElsewhere(pictures) {
    const known = Object.keys(this.all);
    return known.length > 0 && !known.some((each) => pictures.includes(each));
  }

  change(picture, edit) {
    const { [picture]: _, ...others } = this.all;
    const mine = this.of(picture);
    edit(mine);
    for (const [text, ids] of Object.entries(mine.picks)) if (!ids.length) delete mine.picks[text];
    const kept = Object.entries(others).slice(1 - MOST_PICTURES);
    if (Object.keys(mine.picks).length || mine.made.length) kept.push([picture, mine]);
    this.write(kept.length ? JSON.stringify(Object.fromEntries(kept)) : "");
  }

  forget() {
    this.write("");
  }

  write(text) {
    if (text === this.widget.value) return;
    setValue(this.node, this.widget, text);
  }
}

// One step of the page's undo.
export function setValue(node, widget, value) {
  widget.value = value;
  widget.callback?.(value, app.canvas, node);
  const tracker = app.extensionManager?.workflow?.activeWorkflow?.changeTracker;
  (tracker?.captureCanvasState ?? tracker?.checkState)?.call(tracker); // 0.3.64 has the second
  node.graph?.setDirtyCanvas(true, true);
}
