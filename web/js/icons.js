// Drawn here, so that no font has to have them. 16 x 16, in lines of the button's own colour.

const PATHS = {
  choose: "M3 2l10 6-5 1-2 5z",
  add: "M8 3v10M3 8h10",
  remove: "M3 8h10",
  point: "M8 1v4M8 11v4M1 8h4M11 8h4M8 7.5v1",
  edit: "M3 13l1-3 7-7 2 2-7 7z",
  clear: "M4 5a5 5 0 1 1-1 5M4 2v3h3",
  forget: "M4 4l8 8M12 4l-8 8",
  settings: "M2 5h7M13 5h1M11 3v4M2 11h1M7 11h7M5 9v4",
};

export function icon(name) {
  const found = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  found.setAttribute("viewBox", "0 0 16 16");
  found.setAttribute("width", "14");
  found.setAttribute("height", "14");
  found.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  for (const [key, value] of Object.entries({
    d: PATHS[name], fill: "none", stroke: "currentColor", "stroke-width": "1.6",
    "stroke-linecap": "round", "stroke-linejoin": "round",
  })) path.setAttribute(key, value);
  found.append(path);
  return found;
}
