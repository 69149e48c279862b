// The picture with the answer over it, and on top of that what the pointer is at. Two canvases, so
// that a moving pointer draws an outline and nothing else.

import { outlineOf } from "./masks.js";

const DIM = 150; // of 255: how dark everything outside the mask is
const DARK = "rgba(0,0,0,.85)";
const LIGHT = "#ffd91a";
const HOVER = "#ffffff";

export class View {
  constructor() {
    this.element = document.createElement("div");
    this.element.className = "refdiff-view";
    this.base = this.element.appendChild(document.createElement("canvas"));
    this.top = this.element.appendChild(document.createElement("canvas"));
    this.image = null;
    this.soft = null;
    this.frame = { x: 0, y: 0, scale: 1 };
    new ResizeObserver(() => this.resize()).observe(this.element);
  }

  // Layout size, not the rectangle on the screen: that is multiplied by the page's zoom.
  resize() {
    const sharp = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.element;
    if (!clientWidth || !clientHeight) return;
    for (const each of [this.base, this.top]) {
      each.width = Math.round(clientWidth * sharp);
      each.height = Math.round(clientHeight * sharp);
    }
    this.draw();
    this.redrawTop?.();
  }

  // image: of the grid's aspect, or null; width, height: the grid
  show(image, width, height) {
    Object.assign(this, { image, grid: { width, height }, soft: null });
    this.draw();
    this.redrawTop?.();
  }

  // soft: floats in [0, 1] on the grid, the mask as a run gives it
  setMask(soft) {
    this.soft = soft;
    this.shade = null;
    this.draw();
  }

  place(context) {
    const { width, height } = this.grid;
    const scale = Math.min(this.base.width / width, this.base.height / height);
    const x = (this.base.width - width * scale) / 2;
    const y = (this.base.height - height * scale) / 2;
    this.frame = { x, y, scale };
    context.setTransform(scale, 0, 0, scale, x, y);
  }

  draw() {
    const context = this.base.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.base.width, this.base.height);
    if (!this.image) return;
    const { width, height } = this.grid;
    this.place(context);
    context.imageSmoothingEnabled = this.frame.scale < 2; // pixels of a small picture stay sharp
    context.drawImage(this.image, 0, 0, width, height);
    if (!this.soft) return;
    this.shade ??= this.makeShade();
    context.drawImage(this.shade.canvas, 0, 0, width, height);
    this.stroke(context, this.shade.outline, LIGHT);
  }

  makeShade() {
    const { width, height } = this.grid;
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    const data = context.createImageData(width, height);
    for (let at = 0; at < this.soft.length; at++)
      data.data[at * 4 + 3] = Math.round((1 - this.soft[at]) * DIM);
    context.putImageData(data, 0, 0);
    const hard = Uint8Array.from(this.soft, (value) => (value >= 0.5 ? 1 : 0));
    return { canvas, outline: outlineOf(hard, width, height) };
  }

  // In two tones: seen on light, on dark, and on things of the line's own colour.
  stroke(context, path, color, width = 2) {
    const pixel = (window.devicePixelRatio || 1) / this.frame.scale;
    context.lineJoin = "round";
    context.strokeStyle = DARK;
    context.lineWidth = (width + 2) * pixel;
    context.stroke(path);
    context.strokeStyle = color;
    context.lineWidth = width * pixel;
    context.stroke(path);
  }

  // outline: of the candidate at the pointer; asks: points and boxes; box: one being drawn; cross:
  // where the keyboard is
  drawTop({ outline = null, asks = [], box = null, cross = null } = {}) {
    const context = this.top.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.top.width, this.top.height);
    if (!this.image) return;
    this.place(context);
    if (outline) this.stroke(context, outline, HOVER);
    for (const each of asks) this.drawAsk(context, each);
    if (box) this.drawAsk(context, { box });
    if (cross) this.drawCross(context, cross);
  }

  drawCross(context, [x, y]) {
    const arm = (9 * (window.devicePixelRatio || 1)) / this.frame.scale;
    const [across, down] = [x * this.grid.width, y * this.grid.height];
    const path = new Path2D();
    path.moveTo(across - arm, down);
    path.lineTo(across + arm, down);
    path.moveTo(across, down - arm);
    path.lineTo(across, down + arm);
    this.stroke(context, path, HOVER, 1.5);
  }

  drawAsk(context, { points = [], box = null }) {
    const { width, height } = this.grid;
    const pixel = (window.devicePixelRatio || 1) / this.frame.scale;
    if (box) {
      const path = new Path2D();
      path.rect(box[0] * width, box[1] * height, (box[2] - box[0]) * width, (box[3] - box[1]) * height);
      context.setLineDash([6 * pixel, 4 * pixel]);
      this.stroke(context, path, "#4cd964", 1.5);
      context.setLineDash([]);
    }
    for (const [x, y, inside] of points) {
      const path = new Path2D();
      path.arc(x * width, y * height, 5 * pixel, 0, 2 * Math.PI);
      context.fillStyle = inside ? "#4cd964" : "#ff3b30";
      this.stroke(context, path, "#ffffff", 1.5);
      context.fill(path);
    }
  }

  // Where on the picture an event is, as shares of it; outside [0, 1] beside it.
  at(event) {
    const rect = this.top.getBoundingClientRect();
    const x = ((event.clientX - rect.left) / rect.width) * this.top.width;
    const y = ((event.clientY - rect.top) / rect.height) * this.top.height;
    const { x: left, y: above, scale } = this.frame;
    return [(x - left) / (this.grid.width * scale), (y - above) / (this.grid.height * scale)];
  }
}
