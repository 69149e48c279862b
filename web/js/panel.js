// The panel of one node: what was found, what is chosen, and how it is shaped.

import { app } from "../../../scripts/app.js";
import { Controls } from "./controls.js";
import { editMask } from "./editor.js";
import { hasFold, toggleFold } from "./fold.js";
import { listenTo } from "./gestures.js";
import { boxOf, loadImage, Masks, pixelsOf, viewURL } from "./masks.js";
import { finish } from "./shape.js";
import { State } from "./state.js";
import { describe, Strip } from "./strip.js";
import { say } from "./texts.js";
import { makeToolbar } from "./toolbar.js";
import { View } from "./view.js";

const SPECK = 0.0005; // of the picture: too small to be meant by a click

export class Panel {
  constructor(node) {
    this.node = node;
    this.state = new State(node);
    this.sent = null;
    this.page = 0;
    this.tab = 0;
    this.mode = "choose";
    this.hovered = null;
    this.active = null;
    this.cross = null; // where the keyboard asks, as shares of the picture; and a box's first corner
    this.corner = null;
    this.view = new View();
    this.strip = new Strip((index, event) => this.choose(index, event), (index) => this.hover(index));
    this.controls = new Controls(node, () => this.drawMask());
    this.view.redrawTop = () => this.drawTop();
    this.build();
    listenTo(this);
    this.refresh();
  }

  build() {
    this.element = document.createElement("div");
    this.element.className = "refdiff-panel";
    this.toolbar = makeToolbar(this);
    this.tip = document.createElement("div");
    this.tip.className = "refdiff-tip";
    this.tip.hidden = true;
    this.tip.append(" "); // changed in place: nodes that come and go cost the page more
    this.hint = document.createElement("div");
    this.hint.className = "refdiff-hint";
    this.status = document.createElement("div");
    this.status.className = "refdiff-status";
    this.status.setAttribute("role", "status");
    const top = this.view.top;
    top.tabIndex = 0;
    top.dataset.captureWheel = "true";
    top.setAttribute("role", "application");
    top.setAttribute("aria-label", say("panel"));
    top.setAttribute("aria-description", say("keys"));
    this.view.element.append(this.hint, this.tip);
    this.element.append(
      this.toolbar.element, this.view.element, this.status, this.strip.element, this.controls.element,
    );
  }

  get picture() {
    return this.sent?.pictures[this.page];
  }

  get answer() {
    return this.picture?.answers[this.tab];
  }

  get candidates() {
    return this.answer?.candidates ?? [];
  }

  // What a run sent; pictures that are gone leave a hint.
  async show(sent) {
    const page = Math.min(this.page, sent.pictures.length - 1);
    const tab = Math.min(this.tab, sent.pictures[page].answers.length - 1);
    await this.load(sent, page, tab);
  }

  // Nothing is turned before its pictures are there: what is shown is always of one answer.
  async load(sent, page, tab) {
    const wanted = (this.wanted = {});
    const picture = sent.pictures[page];
    const answer = picture.answers[tab];
    const [width, height] = picture.grid;
    const load = (file) => loadImage(viewURL(app.api, file));
    const files = [picture.image, ...answer.masks, ...(answer.heat ? [answer.heat] : [])];
    const images = await Promise.all(files.map(load)).catch(() => null);
    if (wanted !== this.wanted) return; // another was asked for meanwhile
    const pixels = images?.slice(1).map((each) => pixelsOf(each, width, height));
    Object.assign(this, { sent, page, tab, active: null });
    this.hover(null);
    this.image = images?.[0] ?? null;
    this.heat = images && answer.heat ? pixels.pop() : null;
    this.masks = images && new Masks(width, height, pixels);
    this.candidates.forEach((each, index) => (each.index = index));
    this.view.show(this.image, width, height);
    if (this.masks) this.strip.show(this.image, this.masks, this.candidates);
    this.refresh();
  }

  // All that hangs on what is chosen; after a run, an undo, a change.
  refresh() {
    this.controls.refresh();
    this.toolbar.refresh();
    this.hint.textContent = this.image ? "" : say(this.sent ? "gone" : "run");
    this.hint.hidden = Boolean(this.image);
    this.strip.element.hidden = !this.masks || !this.candidates.length;
    if (this.masks) {
      this.strip.mark(this.chosen, this.active, this.candidates);
      this.drawMask();
      this.drawTop();
    }
    this.say(this.note());
  }

  note() {
    if (!this.sent) return "";
    const notes = [];
    if (this.state.belongsElsewhere(this.sent.pictures.map((each) => each.id)))
      notes.push(say("elsewhere"));
    const lost = this.picks.filter((each) => this.indexOf(each) === null).length;
    if (lost && !this.pending.length) notes.push(say("lost", { count: lost }));
    const picked = lost < this.picks.length;
    if (!this.candidates.length) notes.push(say("nothing"));
    const { missing } = this.answer;
    if (missing && !picked && !this.sent.notes.includes(missing)) notes.push(missing);
    if (this.sent.notes) notes.push(this.sent.notes);
    if (this.sent.left) notes.push(say("left", { count: this.sent.left }));
    return notes.join(" ");
  }

  say(text) {
    this.status.textContent = text;
    this.status.title = text;
  }

  get picks() {
    return this.picture ? this.state.picks(this.picture.id, this.answer.text) : [];
  }

  // A candidate by what it is, or the first of those that were made by that hand.
  indexOf(id) {
    const index = this.candidates.findIndex((each) => each.id === id || each.made === id);
    // a run may have found it by another name, as a few of its pixels differed
    return index >= 0 ? index : (this.answer.same[id] ?? null);
  }

  get chosen() {
    const picked = this.picks.map((each) => this.indexOf(each)).filter((each) => each !== null);
    return picked.length ? picked : this.fallback;
  }

  get fallback() {
    const most = this.controls.value("union", 1);
    if (most === 1 || !this.answer.best) return this.answer.default;
    return this.candidates.filter((each) => each.rank && each.rank <= most).map((each) => each.index);
  }

  // Questions to Segment Anything that no run has answered yet.
  get pending() {
    if (!this.picture) return [];
    const answered = new Set(this.candidates.map((each) => each.made));
    return this.state.of(this.picture.id).made.filter((each) => !each.file && !answered.has(each.id));
  }

  drawMask() {
    if (!this.masks) return;
    this.soft = this.shaped();
    this.view.setMask(this.soft);
  }

  // What is chosen, before it is shaped: 0 and 1.
  chosenMask() {
    const { best, cut, several, whole } = this.answer;
    const picked = this.picks.some((each) => this.indexOf(each) !== null);
    const mask = whole && !picked
      ? this.masks.everything(cut)
      : this.masks.union(this.chosen, whole ? null : cut);
    const threshold = Math.round(this.controls.value("threshold", 0) * 255);
    const within = picked || several;
    if (threshold === 0 || !this.heat || !(within || best)) return mask;
    const inside = within ? mask : this.masks.everything(cut);
    return inside.map((each, at) => (each && this.heat[at * 4] >= threshold ? 1 : 0));
  }

  shaped() {
    const { width, height } = this.masks;
    const scale = width / this.picture.size[0];
    const value = (name, fallback) => this.controls.value(name, fallback);
    return finish(this.chosenMask(), width, height, {
      fill: value("fill", false),
      invert: value("invert", false),
      grow: value("grow", 0) * scale,
      feather: value("feather", 0) * scale,
    });
  }

  drawTop(box = null) {
    const outline = this.hovered !== null && this.masks ? this.masks.outline(this.hovered) : null;
    const asks = this.picture ? this.state.of(this.picture.id).made : [];
    const cross = this.mode === "point" ? this.cross : null;
    const begun = cross && this.corner ? boxOf(this.corner, cross) : null;
    this.view.drawTop({ outline, asks, box: box ?? begun, cross });
  }

  // Candidates at a place (shares of the picture), the smallest first: a further click at the same
  // place goes outwards, from a part to the whole.
  under([x, y]) {
    if (!this.masks || x < 0 || y < 0 || x >= 1 || y >= 1) return [];
    const { width, height } = this.masks;
    const at = Math.floor(y * height) * width + Math.floor(x * width);
    return this.candidates
      .filter((each) => each.like === each.index && this.masks.has(each.index, at))
      .filter((each) => each.area > SPECK || each.made)
      .sort((a, b) => a.area - b.area)
      .map((each) => each.index);
  }

  isChosen(index) {
    return this.chosen.some((each) => this.candidates[each].like === index);
  }

  // above: whether the pointer is in the upper half; null where none is. here: all that lies there
  hover(index, above = null, here = []) {
    if (index !== this.hovered) {
      this.hovered = index;
      this.drawTop();
    }
    this.tip.hidden = index === null || above === null;
    if (this.tip.hidden) return;
    const twins = this.candidates.filter((each) => each.like === index).length;
    const more = here.length > 1
      ? " · " + say("under", { place: here.indexOf(index) + 1, count: here.length }) : "";
    this.tip.firstChild.data = describe(this.candidates[index], twins) + more;
    this.tip.classList.toggle("refdiff-below", above);
  }

  choose(index, { shiftKey = false, altKey = false } = {}) {
    const { id } = this.candidates[index];
    const add = shiftKey || this.mode === "add";
    const remove = altKey || this.mode === "remove";
    const now = this.chosen.map((each) => this.candidates[each].id);
    const { like } = this.candidates[index];
    const without = this.chosen
      .map((each) => this.candidates[each])
      .filter((each) => each.like !== like)
      .map((each) => each.id);
    if (remove && !without.length) return this.say(say("last"));
    this.active = index;
    const picks = remove ? without : add ? [...new Set([...now, id])] : [id];
    this.change((mine) => (mine.picks[this.answer.text] = picks));
    this.say(say("chosen"));
  }

  // Ask Segment Anything: a new question, or a further point of the last one.
  ask({ point = null, box = null, more = false }) {
    if (!this.sent?.asks)
      return this.say(say(this.sent?.kind === "segment" ? "noAsk" : "noAskHere"));
    const round = (value) => Math.round(Math.min(1, Math.max(0, value)) * 1e4) / 1e4;
    this.change((mine) => {
      let last = more ? mine.made.filter((each) => !each.file).at(-1) : null;
      if (!last) {
        last = { id: "h" + Math.random().toString(36).slice(2, 8) };
        mine.made.push(last);
      }
      if (point) last.points = [...(last.points ?? []), point.map(round)];
      if (box) last.box = box.map(round);
      mine.picks[this.answer.text] = [last.id];
    });
    this.say(say("asked"));
  }

  paint() {
    if (!this.masks) return;
    const { width, height } = this.masks;
    const { id } = this.picture;
    const { text } = this.answer;
    let made = null; // the editor may hand its mask over twice
    // not the shaped one: what comes back is grown and feathered as any other candidate
    const keep = (file) =>
      this.change((mine) => {
        made ??= "p" + Math.random().toString(36).slice(2, 8);
        mine.made = [...mine.made.filter((each) => each.id !== made), { id: made, file }];
        mine.picks[text] = [made];
      }, id);
    editMask(this.node, this.image, this.chosenMask(), width, height, keep)
      .catch(({ message }) => this.say(say("noEditor", { message })));
  }

  clear() {
    if (!this.picture) return;
    const { text } = this.answer;
    this.change((mine) => {
      delete mine.picks[text];
      mine.made = [];
    });
  }

  forget() {
    this.state.forget();
    this.refresh();
  }

  change(edit, picture = this.picture?.id) {
    this.state.change(picture, edit);
    this.refresh();
  }

  turn(page) {
    if (this.sent?.pictures[page] && page !== this.page) this.load(this.sent, page, this.tab);
  }

  open(tab) {
    if (this.picture?.answers[tab] && tab !== this.tab) this.load(this.sent, this.page, tab);
  }

  get hasSettings() {
    return hasFold(this.node);
  }

  toggleSettings() {
    toggleFold(this.node);
    this.toolbar.refresh();
  }
}
