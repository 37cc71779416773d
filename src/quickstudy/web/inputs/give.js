// The ways to give inputs: draw, drop or choose pictures, use a camera, paste or type texts, rows and numbers.
// What is given goes on as a list of `{ x, picture | text }`: what the service is sent, and how it is shown.
import { attempt, bundle, el, find, later } from "./api.js";
import { pad, photo } from "./draw.js";
import { parse, row } from "./rows.js";

const pictures = bundle.takes === "image";
/** Whether inputs are line drawings. */
export const glyphs = pictures && Boolean(bundle.drawn);
const PLACES = {
  text: "Type or paste a text",
  numbers: `${(bundle.feature ?? []).join(" × ")} numbers, with commas`,
  series: "0.1, 0.5\n0.2, 0.7\n0.4, 0.6",
};

/**
 * What stands in a card or beside a question.
 *
 * @param {string} label what is given here, for those who do not see it.
 * @param {(inputs: object[]) => Promise} give takes what is given.
 * @param {Element} zone files can be dropped anywhere on it.
 * @param {boolean} asking a question is answered while it is drawn or typed, and is one text, not one a line.
 */
export function giver(label, give, zone, { asking = false } = {}) {
  const tools = el("div", { class: glyphs ? "give drawing" : "give" });
  const hand = (make) =>
    attempt(async () => {
      await give([await make()].flat());
      return true;
    });
  if (pictures) tools.append(...(glyphs ? drawn(label, hand, zone, asking) : []), chosen(label, hand));
  else if (asking && bundle.takes === "row" && bundle.columns.length) tools.append(fields(hand));
  else tools.append(written(label, hand, asking));
  receive(zone, hand);
  return tools;
}

function drawn(label, hand, zone, asking) {
  const ask = later(() => (board.empty() ? zone.removeAttribute("aria-busy") : hand(board.picture)), 250);
  const board = pad(bundle.feature, `Draw ${label}`, () => {
    if (!asking) return;
    zone.setAttribute("aria-busy", "true"); // until the answer to what is drawn now is there
    ask();
  });
  const add = () => {
    const made = board.picture();
    board.clear();
    return hand(() => made);
  };
  return [
    el("div", { class: "paper" }, board.element),
    el(
      "div",
      { class: "line tight drawn" },
      !asking &&
        el(
          "button",
          { type: "button", class: "main", onclick: add, "aria-label": `Add what is drawn as ${label}` },
          "Add",
        ),
      el("button", { type: "button", onclick: board.clear, "aria-label": `Clear what is drawn as ${label}` }, "Clear"),
    ),
  ];
}

function chosen(label, hand) {
  const input = el("input", {
    type: "file",
    accept: "image/*",
    multiple: true,
    "aria-label": `Choose pictures of ${label}`,
  });
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = "";
    hand(() => Promise.all(files.map(shot)));
  });
  const line = el("div", { class: "line tight chosen-from" }, el("label", { class: "button" }, "Choose", input));
  if (navigator.mediaDevices?.getUserMedia)
    line.append(
      el(
        "button",
        {
          type: "button",
          onclick: () => attempt(() => film(label, hand)),
          "aria-label": `Take a picture of ${label}`,
        },
        "Camera",
      ),
    );
  return line;
}

const shot = (source) =>
  photo(source, glyphs).catch(() => {
    throw new Error(`${source.name ?? "This"} is not a picture that the browser reads.`);
  });

/** A window with the camera's picture; a click takes one, and it stays open for the next. */
async function film(label, hand) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch {
    throw new Error("The camera cannot be used: there is none, or the browser was not allowed to.");
  }
  const dialog = find("camera");
  const video = el("video", { autoplay: true, playsinline: true, muted: true });
  const close = () => dialog.close();
  video.srcObject = stream;
  dialog.replaceChildren(
    el("h2", {}, label),
    video,
    el(
      "div",
      { class: "line spread" },
      el("button", { class: "main", autofocus: true, onclick: () => hand(() => shot(video)) }, "Take a picture"),
      el("button", { onclick: close }, "Done"),
    ),
  );
  dialog.addEventListener("close", () => stream.getTracks().forEach((track) => track.stop()), { once: true });
  dialog.showModal();
}

function written(label, hand, asking) {
  const area = el("textarea", {
    rows: asking ? 4 : bundle.takes === "text" ? 2 : 3,
    "aria-label": `Type or paste ${label}`,
    placeholder: place(asking),
    spellcheck: bundle.takes === "text",
  });
  const form = el(
    "form",
    { class: "written" },
    area,
    el("button", { class: asking && "main" }, asking ? "Ask" : "Add"),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = area.value;
    if (!text.trim()) return;
    if ((await hand(() => parse(text, asking))) && !asking) area.value = "";
  });
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  return form;
}

const place = (asking) =>
  (bundle.takes === "row" ? bundle.columns.join(", ") : PLACES[bundle.takes]) +
  (asking || bundle.takes === "series" ? "" : "\none a line");

function fields(hand) {
  const made = bundle.columns.map((name) => el("label", {}, name, el("input", { name, autocomplete: "off" })));
  const form = el("form", { class: "fields" }, made, el("button", { class: "main" }, "Ask"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    hand(() =>
      row(
        bundle.columns,
        bundle.columns.map((name) => form.elements[name].value),
      ),
    );
  });
  return form;
}

/** Files and pictures that are dropped on the element or pasted into it. */
function receive(element, hand) {
  const take = async (transfer) => {
    const files = [...transfer.files];
    if (pictures) return hand(() => Promise.all(files.map(shot)));
    return hand(async () => (await Promise.all(files.map((file) => file.text().then((text) => parse(text))))).flat());
  };
  element.addEventListener("paste", (event) => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    take(event.clipboardData);
  });
  accept(element, take);
}

/** Let files be dropped on an element; it shows that they can be. */
export function accept(element, take) {
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.classList.add("over");
  });
  element.addEventListener(
    "dragleave",
    (event) => element.contains(event.relatedTarget) || element.classList.remove("over"),
  );
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    element.classList.remove("over");
    if (event.dataTransfer.files.length) take(event.dataTransfer);
  });
}
