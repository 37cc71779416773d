// A canvas to draw on with a finger, a pen or a mouse, and pictures made of what was drawn or chosen.
import { el } from "./api.js";

const SIDE = 560; // pixels of a pad
const PEN = 0.08; // width of the pen, and the room around the ink of a drawing: parts of a picture, as glyphs have them
const MARGIN = 0.115;
const TIMES = 4; // a picture is sent larger than the learner takes it, for the thumbnail's sake
const LARGEST = 1024; // pixels of the longer side of what is sent

const ink = (element) => getComputedStyle(element).getPropertyValue("--ink");

function stroke(context, lines, width, place = (point) => point) {
  Object.assign(context, { lineWidth: width, lineCap: "round", lineJoin: "round" });
  for (const line of lines) {
    context.beginPath();
    const points = line.map(place);
    context.moveTo(...points[0]);
    // Through the middle of every two points, so that corners of a quick hand become curves.
    points.forEach(([x, y], i) => {
      const [nx, ny] = points[i + 1] ?? [x, y];
      context.quadraticCurveTo(x, y, (x + nx) / 2, (y + ny) / 2);
    });
    context.stroke();
  }
}

/** A pad: `{ element, clear, empty, picture }`; `changed` is called after every stroke. */
export function pad(feature, label, changed) {
  const [, height, width] = feature;
  const canvas = el("canvas", {
    class: "pad",
    role: "img",
    "aria-label": label,
    width: SIDE,
    height: Math.round((SIDE * height) / width),
  });
  const context = canvas.getContext("2d");
  let lines = [];
  const here = (event) => {
    const box = canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * canvas.width,
      ((event.clientY - box.top) / box.height) * canvas.height,
    ];
  };
  let due = 0;
  const redraw = () => {
    due ||= requestAnimationFrame(paint); // a pen says more often where it is than a screen shows it
  };
  const paint = () => {
    due = 0;
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.strokeStyle = ink(canvas);
    stroke(context, lines, PEN * SIDE);
    canvas.classList.toggle("used", lines.length > 0);
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    lines.push([here(event)]);
    redraw();
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    for (const step of event.getCoalescedEvents?.() ?? [event]) lines.at(-1).push(here(step));
    redraw();
  });
  canvas.addEventListener("lostpointercapture", () => changed());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  const clear = () => {
    lines = [];
    redraw();
  };
  return { element: canvas, clear, empty: () => !lines.length, picture: () => drawing(lines, feature) };
}

/** Light ink on black, as glyphs are; moved to the middle and to the size that they have. */
function drawing(lines, [, height, width]) {
  const canvas = new OffscreenCanvas(width * TIMES, height * TIMES);
  const context = canvas.getContext("2d");
  const points = lines.flat();
  const [left, top] = [0, 1].map((axis) => Math.min(...points.map((p) => p[axis])));
  const [right, bottom] = [0, 1].map((axis) => Math.max(...points.map((p) => p[axis])));
  const side = Math.min(canvas.width, canvas.height);
  const scale = ((1 - 2 * MARGIN - PEN) * side) / Math.max(right - left, bottom - top, SIDE / 20);
  const place = ([x, y]) => [
    canvas.width / 2 + (x - (left + right) / 2) * scale,
    canvas.height / 2 + (y - (top + bottom) / 2) * scale,
  ];
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.strokeStyle = "#fff";
  stroke(context, lines, PEN * side, place);
  return encoded(canvas, "image/png");
}

/** A file or a video as a picture, no larger than needed, upright; in glyph bundles light on dark. */
export async function photo(source, glyphs) {
  const image = source instanceof Blob ? await createImageBitmap(source) : source;
  const [width, height] = [image.videoWidth ?? image.width, image.videoHeight ?? image.height];
  const scale = Math.min(1, LARGEST / Math.max(width, height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // what is transparent is paper
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  if (glyphs) return encoded(inked(context, canvas), "image/png");
  return encoded(canvas, canvas.width * canvas.height < 2e5 ? "image/png" : "image/jpeg");
}

/** A scan or photograph of a drawing, as drawings are: light ink on black, with the margin that they have. */
function inked(context, canvas) {
  const { width, height } = canvas;
  const { data } = context.getImageData(0, 0, width, height);
  const light = (x, y) =>
    (data[4 * (y * width + x)] + data[4 * (y * width + x) + 1] + data[4 * (y * width + x) + 2]) / 3;
  const border = [...Array(width).keys()]
    .flatMap((x) => [light(x, 0), light(x, height - 1)])
    .concat([...Array(height).keys()].flatMap((y) => [light(0, y), light(width - 1, y)]))
    .sort((a, b) => a - b);
  const paper = border[border.length >> 1] > 127;
  if (paper) {
    context.globalCompositeOperation = "difference";
    context.fillRect(0, 0, width, height);
  }
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (paper ? light(x, y) < 128 : light(x, y) > 127)
        [left, top, right, bottom] = [
          Math.min(left, x),
          Math.min(top, y),
          Math.max(right, x + 1),
          Math.max(bottom, y + 1),
        ];
  if (right <= left) return canvas; // nothing is drawn
  const side = Math.round(Math.max(right - left, bottom - top) / (1 - 2 * MARGIN));
  const square = new OffscreenCanvas(side, side);
  const made = square.getContext("2d");
  made.fillRect(0, 0, side, side);
  made.drawImage(
    canvas,
    left,
    top,
    right - left,
    bottom - top,
    (side - right + left) / 2,
    (side - bottom + top) / 2,
    right - left,
    bottom - top,
  );
  return square;
}

/** `{ x, picture }`: what is sent, and an address to show it by. */
async function encoded(canvas, type) {
  const blob = await canvas.convertToBlob({ type, quality: 0.92 });
  const address = await new Promise((done) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.readAsDataURL(blob);
  });
  return { x: { image: address.slice(address.indexOf(",") + 1) }, picture: address };
}
