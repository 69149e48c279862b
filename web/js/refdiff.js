// Puts the panel into Ref-Diff Segment, Fuse Masks and Pick.

import { app } from "../../../scripts/app.js";
import { advancedNames, fold, hide } from "./fold.js";
import { everyNode, lastOutput, sentBy } from "./outputs.js";
import { Panel } from "./panel.js";
import { loadTexts } from "./texts.js";

const NODES = ["RefDiffSegment", "RefDiffFuseMasks", "RefDiffPick"];
const LEAST_HEIGHT = 360; // of the panel, in pixels
const SIZE = [400, 700]; // of a new node
const MOST_TEXT = 90; // pixels that the expressions take of the node's height

function addPanel(node) {
  const text = node.widgets.find((each) => each.name === "panel");
  hide(text);
  text.options.hidden = true;
  const lines = node.widgets.find((each) => each.name === "expressions");
  if (lines?.options) lines.options.getMaxHeight = () => MOST_TEXT;
  fold(node);
  const panel = (node.refdiffPanel = new Panel(node));
  const widget = node.addDOMWidget("refdiff", "refdiff_panel", panel.element, {
    serialize: false, // out of the prompt; what is chosen lies in the text
    hideOnZoom: false,
    getMinHeight: () => LEAST_HEIGHT,
    getValue: () => "",
    setValue: () => {},
  });
  widget.serialize = false; // out of the saved values
  keepUp(node, panel);
  node.setSize([Math.max(node.size[0], SIZE[0]), SIZE[1]]);
}

// After a run, and when a graph was loaded, undone or pasted.
function keepUp(node, panel) {
  const { onExecuted, onConfigure } = node;
  node.onExecuted = function (output) {
    onExecuted?.apply(this, arguments);
    const sent = sentBy(output);
    if (sent) panel.show(sent);
  };
  node.onConfigure = function () {
    onConfigure?.apply(this, arguments);
    fold(this);
    panel.refresh();
    const least = this.computeSize();
    if (this.size[1] < least[1]) this.setSize([Math.max(this.size[0], least[0]), least[1]]);
  };
}

async function restore(node) {
  if (node.refdiffPanel.sent) return;
  const sent = sentBy(await lastOutput(node));
  if (sent && !node.refdiffPanel.sent) await node.refdiffPanel.show(sent);
}

function restoreAll() {
  for (const node of everyNode()) if (node.refdiffPanel) restore(node);
}

function addStyle() {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("../css/panel.css", import.meta.url).href;
  document.head.append(link);
}

app.registerExtension({
  name: "refdiff.panel",
  async setup() {
    addStyle();
    await loadTexts();
  },
  beforeRegisterNodeDef(nodeType, definition) {
    if (NODES.includes(definition.name)) nodeType.refdiffAdvanced = advancedNames(definition);
  },
  nodeCreated(node) {
    if (!NODES.includes(node.comfyClass)) return;
    try {
      addPanel(node);
    } catch (error) {
      console.warn("Ref-Diff: this page cannot show the panel; the node works without it.", error);
    }
  },
  afterConfigureGraph: () => setTimeout(restoreAll, 0),
  onNodeOutputsUpdated: () => restoreAll(),
});
