// What the panel says. Other languages come with the pack's locales (main.json, "refdiffPanel").

import { app } from "../../../scripts/app.js";

const ENGLISH = {
  panel: "The picture, what was found on it, and its candidates",
  keys: "1 to 9 choose, arrows move, Enter chooses, Shift adds, Alt takes away, Esc goes back.",
  lines: "Expressions",
  click: "What a click does",
  run: "Press Run: what is found shows here. Click it to choose another.",
  gone: "The pictures of the last run are gone. Press Run.",
  choose: "Choose (click)",
  add: "Add (Shift + click)",
  remove: "Remove (Alt + click)",
  point: "Ask Segment Anything at a point, or drag a box",
  edit: "Paint this mask in the mask editor",
  clear: "Back to what the words say (Esc)",
  settings: "More settings",
  candidates: "Candidates, best first",
  candidate: "Candidate {rank}",
  byHand: "By hand",
  score: "score {score}",
  present: "there: {presence}",
  parts: "{count} much alike",
  under: "{place} of {count} here; click again for the next",
  chosen: "Chosen. Run to use it.",
  asked: "Segment Anything is asked here in the next run.",
  aim: "Across {across}, down {down}. Enter asks here, Alt + Enter: not this, Space: a box's corner.",
  noAsk: "Nothing lies here. Connect a SAM_MODEL to ask about any place.",
  noAskHere: "Nothing lies here. Ref-Diff Segment can ask Segment Anything about any place.",
  noEditor: "The mask editor cannot be opened: {message}.",
  last: "This one is taken as nothing else is chosen. Choose another.",
  lost: "{count} of what you chose is not among the candidates now.",
  elsewhere: "What you chose belongs to another picture; here the best is taken.",
  forget: "Forget it",
  nothing: "Nothing found.",
  page: "Picture {at} of {count}",
  previous: "Previous picture",
  next: "Next picture",
  left: "{count} further pictures are not shown.",
  threshold: "Threshold",
  grow: "Grow",
  feather: "Feather",
  fill: "Fill holes",
  invert: "Invert",
  pixels: "{value} px",
};

let words = {};

export async function loadTexts() {
  const locale = app.extensionManager?.setting?.get?.("Comfy.Locale") ?? "en";
  if (locale === "en") return;
  const answer = await app.api.fetchApi("/i18n").catch(() => null);
  words = (await answer?.json().catch(() => null))?.[locale]?.refdiffPanel ?? {};
}

export function say(key, values = {}) {
  return (words[key] ?? ENGLISH[key]).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}
