// One tab an expression, one page a picture, and what a click does.

import { icon } from "./icons.js";
import { say } from "./texts.js";

const MODES = ["choose", "add", "remove", "point"];

function button(content, label, press) {
  const found = document.createElement("button");
  found.type = "button";
  found.append(content);
  found.title = label;
  found.setAttribute("aria-label", label);
  found.addEventListener("click", press);
  return found;
}

// How the button that has the keyboard is found again once it is made anew; null where none has it.
function focusedIn(element) {
  const focused = document.activeElement;
  if (!element.contains(focused) || focused.hidden) return null;
  const { title, parentElement } = focused;
  const buttons = () => [...parentElement.children].filter((each) => !each.disabled && !each.hidden);
  return () => buttons().find((each) => each.title === title);
}

export function makeToolbar(panel) {
  const element = document.createElement("div");
  element.className = "refdiff-toolbar";
  const tabs = element.appendChild(document.createElement("div"));
  tabs.className = "refdiff-tabs";
  tabs.setAttribute("role", "tablist");
  tabs.setAttribute("aria-label", say("lines"));
  const pages = element.appendChild(document.createElement("div"));
  pages.className = "refdiff-pages";
  const modes = element.appendChild(document.createElement("div"));
  modes.className = "refdiff-modes";
  modes.setAttribute("role", "group");
  modes.setAttribute("aria-label", say("click"));
  for (const mode of MODES) {
    const each = button(icon(mode), say(mode), () => {
      panel.mode = mode;
      refresh();
      panel.drawTop();
    });
    each.dataset.mode = mode;
    modes.append(each);
  }
  const action = (name, press) => {
    const found = button(icon(name), say(name), press);
    found.dataset.action = name;
    element.append(found);
    return found;
  };
  const edit = action("edit", () => panel.paint());
  const clear = action("clear", () => panel.clear());
  const forget = action("forget", () => panel.forget());
  const settings = action("settings", () => panel.toggleSettings());

  const showTabs = () => {
    const answers = panel.picture?.answers ?? [];
    tabs.classList.toggle("refdiff-many", answers.length > 1);
    tabs.replaceChildren(...answers.map((each, index) => {
      const text = (each.negative ? "not: " : "") + each.text;
      const tab = button(text, text, () => panel.open(index));
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-selected", index === panel.tab);
      return tab;
    }));
  };
  const showPages = () => {
    const count = panel.sent?.pictures.length ?? 0;
    pages.hidden = count < 2;
    if (pages.hidden) return;
    const shown = document.createElement("span");
    shown.textContent = `${panel.page + 1}/${count}`;
    shown.title = say("page", { at: panel.page + 1, count });
    const back = button("‹", say("previous"), () => panel.turn(panel.page - 1));
    const on = button("›", say("next"), () => panel.turn(panel.page + 1));
    back.disabled = panel.page === 0;
    on.disabled = panel.page === count - 1;
    pages.replaceChildren(back, shown, on);
  };
  const refresh = () => {
    const place = focusedIn(element);
    showTabs();
    showPages();
    for (const each of modes.children) {
      each.setAttribute("aria-pressed", each.dataset.mode === panel.mode);
      if (each.dataset.mode === "point") each.hidden = !panel.sent?.asks;
    }
    const { picks = {}, made = [] } = panel.picture ? panel.state.of(panel.picture.id) : {};
    const elsewhere = panel.sent && panel.state.belongsElsewhere(panel.sent.pictures.map((each) => each.id));
    modes.hidden = edit.hidden = !panel.masks;
    clear.hidden = !Object.keys(picks).length && !made.length;
    forget.hidden = !elsewhere;
    settings.hidden = !panel.hasSettings;
    settings.setAttribute("aria-pressed", Boolean(panel.node.properties?.refdiff_settings));
    // keys would go to the page where the button that had them is gone
    if (place && !focusedIn(element)) (place() ?? panel.view.top).focus({ preventScroll: true });
  };
  return { element, refresh };
}
