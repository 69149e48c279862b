// Candidates as bits of small pictures: mask n is bit n % 8 of channel n / 8 (nodes/_panel.py).

const PER_PICTURE = 24;

export const viewURL = (api, file) => api.apiURL("/view?" + new URLSearchParams(file));

export async function loadImage(url) {
  const image = new Image();
  image.crossOrigin = "anonymous";
  image.src = url;
  await image.decode();
  return image;
}

export function pixelsOf(image, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

export class Masks {
  // pictures: RGBA pixels of each, width * height * 4
  constructor(width, height, pictures) {
    this.width = width;
    this.height = height;
    this.pictures = pictures;
    this.outlines = new Map();
  }

  has(index, at) {
    const bit = index % PER_PICTURE;
    return (this.pictures[(index / PER_PICTURE) | 0][at * 4 + (bit >> 3)] >> (bit & 7)) & 1;
  }

  // 1 where any of the masks is, and the one that is kept out is not
  union(indices, without = null) {
    const found = new Uint8Array(this.width * this.height);
    for (const index of indices) {
      const pixels = this.pictures[(index / PER_PICTURE) | 0];
      const channel = (index % PER_PICTURE) >> 3;
      const bit = index & 7; // 24 is a multiple of 8
      for (let at = 0; at < found.length; at++) found[at] |= (pixels[at * 4 + channel] >> bit) & 1;
    }
    return this.without(found, without);
  }

  everything(without = null) {
    return this.without(new Uint8Array(this.width * this.height).fill(1), without);
  }

  without(mask, index) {
    if (index !== null)
      for (let at = 0; at < mask.length; at++) if (this.has(index, at)) mask[at] = 0;
    return mask;
  }

  outline(index) {
    if (!this.outlines.has(index))
      this.outlines.set(index, outlineOf(this.union([index]), this.width, this.height));
    return this.outlines.get(index);
  }
}

// The box between two places, XYXY, as shares of the picture.
export function boxOf([x0, y0], [x1, y1]) {
  const inside = (value) => Math.min(1, Math.max(0, value));
  return [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)].map(inside);
}

// The border between ones and zeros, along the pixels' edges.
export function outlineOf(mask, width, height) {
  const path = new Path2D();
  const at = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : mask[y * width + x]);
  const runs = (lines, length, differs, draw) => {
    for (let line = 0; line <= lines; line++)
      for (let from = -1, place = 0; place <= length; place++) {
        const edge = place < length && differs(place, line);
        if (edge && from < 0) from = place;
        if (!edge && from >= 0) {
          draw(from, place, line);
          from = -1;
        }
      }
  };
  runs(height, width, (x, y) => at(x, y) !== at(x, y - 1), (a, b, y) => {
    path.moveTo(a, y);
    path.lineTo(b, y);
  });
  runs(width, height, (y, x) => at(x, y) !== at(x - 1, y), (a, b, x) => {
    path.moveTo(x, a);
    path.lineTo(x, b);
  });
  return path;
}
