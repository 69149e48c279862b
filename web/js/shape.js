// Fill, grow, feather and invert a mask, as refdiff_core/finishing.py does: what is seen on
// the panel is what a run gives, but for the size of the picture.

// mask: Uint8Array of 0 and 1. Lengths in pixels of the mask's own grid. Gives floats in [0, 1].
export function finish(mask, width, height, { fill, grow, feather, invert }) {
  let found = fill ? fillHoles(mask, width, height) : mask;
  if (grow) found = growBy(found, width, height, grow);
  const soft = featherBy(Float32Array.from(found), width, height, feather);
  return invert ? soft.map((value) => 1 - value) : soft;
}

export function fillHoles(mask, width, height) {
  const outside = new Uint8Array(mask.length);
  const left = [];
  const visit = (at) => {
    if (!mask[at] && !outside[at]) {
      outside[at] = 1;
      left.push(at);
    }
  };
  for (let x = 0; x < width; x++) visit(x), visit((height - 1) * width + x);
  for (let y = 0; y < height; y++) visit(y * width), visit(y * width + width - 1);
  while (left.length) {
    const at = left.pop();
    const x = at % width;
    if (x > 0) visit(at - 1);
    if (x < width - 1) visit(at + 1);
    if (at >= width) visit(at - width);
    if (at < mask.length - width) visit(at + width);
  }
  return outside.map((value) => 1 - value);
}

export function growBy(mask, width, height, pixels) {
  if (!mask.includes(1)) return mask;
  if (pixels < 0) {
    const rest = mask.map((value) => 1 - value);
    return growBy(rest, width, height, -pixels).map((value) => 1 - value);
  }
  const distance = squaredDistance(mask, width, height);
  const reach = pixels * pixels + 1e-6;
  return mask.map((_, at) => (distance[at] <= reach ? 1 : 0));
}

// Felzenszwalb and Huttenlocher, "Distance Transforms of Sampled Functions" (2012): by columns,
// then by rows, the lower envelope of parabolas.
function squaredDistance(mask, width, height) {
  const far = 1e12;
  const found = Float64Array.from(mask, (value) => (value ? 0 : far));
  const longest = Math.max(width, height);
  const line = new Float64Array(longest);
  const roots = new Int32Array(longest);
  const edges = new Float64Array(longest + 1);
  const pass = (start, step, length) => {
    for (let i = 0; i < length; i++) line[i] = found[start + i * step];
    let last = 0;
    roots[0] = 0;
    edges[0] = -Infinity;
    edges[1] = Infinity;
    for (let i = 1; i < length; i++) {
      const cross = (root) => (line[i] + i * i - line[root] - root * root) / (2 * (i - root));
      let edge = cross(roots[last]);
      while (edge <= edges[last]) edge = cross(roots[--last]);
      roots[++last] = i;
      edges[last] = edge;
      edges[last + 1] = Infinity;
    }
    for (let i = 0, at = 0; i < length; i++) {
      while (edges[at + 1] < i) at++;
      found[start + i * step] = (i - roots[at]) ** 2 + line[roots[at]];
    }
  };
  for (let x = 0; x < width; x++) pass(x, width, height);
  for (let y = 0; y < height; y++) pass(y * width, 1, width);
  return found;
}

export function featherBy(soft, width, height, pixels) {
  const whole = Math.round(pixels);
  if (whole <= 0) return soft;
  for (let pass = 0; pass < 2; pass++) soft = boxBlur(soft, width, height, whole >> 1);
  return soft;
}

function boxBlur(values, width, height, half) {
  const across = new Float32Array(values.length);
  const found = new Float32Array(values.length);
  const blur = (from, to, start, step, length) => {
    const at = (i) => from[start + Math.min(length - 1, Math.max(0, i)) * step];
    let sum = 0;
    for (let i = -half; i <= half; i++) sum += at(i);
    for (let i = 0; i < length; i++) {
      to[start + i * step] = Math.min(1, Math.max(0, sum / (2 * half + 1)));
      sum += at(i + half + 1) - at(i - half);
    }
  };
  for (let y = 0; y < height; y++) blur(values, across, y * width, 1, width);
  for (let x = 0; x < width; x++) blur(across, found, x, width, height);
  return found;
}
