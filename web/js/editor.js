// The host's own mask editor, over a stand-in for a node: nothing of the real node is changed.

import { app } from "../../../scripts/app.js";
import { loadImage, viewURL } from "./masks.js";

const STAND_IN = "refdiff-panel-mask";

// The picture with the mask clear in it, which is how the editor reads and writes masks.
function withMask(image, soft, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0, width, height);
  const data = context.getImageData(0, 0, width, height);
  for (let at = 0; at < soft.length; at++) data.data[at * 4 + 3] = Math.round((1 - soft[at]) * 255);
  context.putImageData(data, 0, 0);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

async function upload(blob) {
  const body = new FormData();
  body.append("image", blob, `refdiff_mask_${Date.now()}.png`);
  body.append("type", "temp");
  const answer = await app.api.fetchApi("/upload/image", { method: "POST", body });
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  const { name, subfolder, type } = await answer.json();
  return { filename: name, subfolder, type };
}

// done(file): called with the painted picture's name, such as "clipspace/x.png [input]"
export async function editMask(node, image, soft, width, height, done) {
  const file = await upload(await withMask(image, soft, width, height));
  const stand = {
    id: STAND_IN, graph: null, type: node.type, imgs: [await loadImage(viewURL(app.api, file))],
    images: [file], imageIndex: 0, previewMediaType: "image", properties: {},
    widgets: [{
      name: "image",
      get value() {
        return "";
      },
      set value(painted) {
        delete app.nodeOutputs?.[STAND_IN];
        done(painted);
      },
    }],
  };
  const { ComfyApp } = await import("../../../scripts/app.js");
  ComfyApp.copyToClipspace(stand); // 0.3.64's editor reads what was copied
  ComfyApp.clipspace_return_node = stand;
  ComfyApp.open_maskeditor();
}
