// Sliders and switches over the node's own inputs: drawn at once, kept when they are let go.

import { say } from "./texts.js";
import { setValue } from "./state.js";

const SLIDERS = [
  { name: "threshold", min: 0, max: 1, step: 0.01, percent: true },
  { name: "grow", min: -48, max: 96, step: 1 },
  { name: "feather", min: 0, max: 64, step: 1 },
];
const SWITCHES = ["fill", "invert"];

export class Controls {
  // changed(): something is to be drawn again
  constructor(node, changed) {
    this.node = node;
    this.changed = changed;
    this.live = {};
    this.element = document.createElement("div");
    this.element.className = "refdiff-controls";
    this.updates = [];
    for (const each of SLIDERS) if (this.widget(each.name)) this.addSlider(each);
    const row = document.createElement("div");
    row.className = "refdiff-switches";
    for (const name of SWITCHES) if (this.widget(name)) row.append(this.addSwitch(name));
    if (row.childElementCount) this.element.append(row);
    this.listen();
  }

  widget(name) {
    return this.node.widgets?.find((each) => each.name === name);
  }

  linked(name) {
    return this.node.inputs?.some((each) => each.widget?.name === name && each.link != null);
  }

  value(name, fallback) {
    return this.live[name] ?? this.widget(name)?.value ?? fallback;
  }

  // The node's own inputs may be changed on the node, too.
  listen() {
    for (const name of [...SLIDERS.map((each) => each.name), ...SWITCHES, "union"]) {
      const widget = this.widget(name);
      if (!widget) continue;
      const before = widget.callback;
      widget.callback = (...args) => {
        const answer = before?.apply(widget, args);
        this.refresh();
        this.changed();
        return answer;
      };
    }
  }

  addSlider({ name, min, max, step, percent }) {
    const label = document.createElement("label");
    const text = label.appendChild(document.createElement("span"));
    const slider = label.appendChild(document.createElement("input"));
    const shown = label.appendChild(document.createElement("output"));
    text.textContent = say(name);
    Object.assign(slider, { type: "range", min, max, step });
    slider.dataset.name = name;
    slider.setAttribute("aria-label", say(name));
    const write = (value) => {
      shown.textContent = percent ? Math.round(value * 100) + " %" : say("pixels", { value });
      slider.setAttribute("aria-valuetext", shown.textContent);
    };
    slider.addEventListener("input", () => {
      this.live[name] = +slider.value;
      write(+slider.value);
      this.changed();
    });
    slider.addEventListener("change", () => {
      delete this.live[name];
      setValue(this.node, this.widget(name), +slider.value);
    });
    this.updates.push(() => {
      const value = this.widget(name).value;
      slider.value = value;
      slider.disabled = this.linked(name);
      write(value);
    });
    this.element.append(label);
  }

  addSwitch(name) {
    const label = document.createElement("label");
    const box = label.appendChild(document.createElement("input"));
    box.type = "checkbox";
    box.dataset.name = name;
    label.append(say(name));
    box.addEventListener("change", () => setValue(this.node, this.widget(name), box.checked));
    this.updates.push(() => {
      box.checked = this.widget(name).value;
      box.disabled = this.linked(name);
    });
    return label;
  }

  refresh() {
    for (const each of this.updates) each();
  }
}
