// What a node's last run sent, and how it is found again: undo, redo and another tab build new
// nodes and send nothing; a reload empties the page's own table, but the server has its history.

import { app } from "../../../scripts/app.js";

const KEY = "refdiff_panel";
const root = () => (app.rootGraph !== undefined ? app.rootGraph : app.graph);

// A node that was run once for each of a list sends as often; what each had to say is said once.
export function sentBy(output) {
  const sent = output?.[KEY];
  if (!sent?.length) return undefined;
  const notes = sent.flatMap((each) => (each.notes ? each.notes.split("\n") : []));
  return {
    ...sent.at(-1),
    pictures: sent.flatMap((each) => each.pictures),
    notes: [...new Set(notes)].join("\n"),
    left: sent.reduce((sum, each) => sum + each.left, 0),
  };
}

// A node's ids in a run: "7" at the root, "3:7" within the subgraph node 3, several if used twice.
function* runIds(node, graph = root(), path = "") {
  for (const each of graph?.nodes ?? []) {
    if (each === node) yield path + each.id;
    if (each.subgraph) yield* runIds(node, each.subgraph, `${path}${each.id}:`);
  }
}

let history; // asked for once, until something has run again
app.api?.addEventListener("executed", () => (history = undefined));

async function fromHistory(ids) {
  history ??= app.api
    .fetchApi("/history?max_items=32")
    .then((answer) => answer.json())
    .catch(() => ({}));
  return Object.values(await history)
    .reverse()
    .filter((run) => run.prompt?.[3]?.extra_pnginfo?.workflow?.id === root()?.id)
    .flatMap((run) => ids.map((id) => run.outputs?.[id]))
    .find(sentBy);
}

// The page's table goes by "7" at the root and by "<id of the definition>:7" within a subgraph;
// 0.3.64 puts ids of runs there.
export async function lastOutput(node) {
  const ids = [...runIds(node)];
  const keys = node.graph === root() ? ids : [`${node.graph?.id}:${node.id}`, ...ids];
  return keys.map((key) => app.nodeOutputs?.[key]).find(sentBy) ?? (await fromHistory(ids));
}

export function* everyNode() {
  const graphs = root() ? [root(), ...(root().subgraphs?.values() ?? [])] : [];
  for (const graph of graphs) yield* graph.nodes ?? [];
}
