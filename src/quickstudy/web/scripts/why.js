// Why an answer is what it is: near examples, what each of them did for it, parts of a picture, words.
import { bundle, el, short } from "./api.js";
import { glyphs } from "./give.js";

const LITTLE = 0.01; // of probability, which nobody would want to have marked
const SHOWN = 5;
const label = ({ y }) => (bundle.kind === "regression" ? short(y) : y);

/**
 * What the service explained, as elements.
 *
 * @param {object} input what was asked.
 * @param {object} said what the service says of it.
 * @param {(id: string) => object} item finds an example.
 * @param {(item: object) => Element} thumb shows one.
 */
export function reasons(input, { nearest = [], influence = [], occlusion, words }, { item, thumb }) {
  const worth = new Map(influence.filter(({ value }) => value).map(({ example, value }) => [example, value]));
  const found = (ids) => ids.map(item).filter(Boolean).slice(0, SHOWN);
  const near = found(nearest.map(({ example }) => example));
  const counted = found([...worth.keys()].sort((a, b) => Math.abs(worth.get(b)) - Math.abs(worth.get(a))));
  const sign = (one) => (worth.get(one.id) < 0 ? "− " : "+ ") + label(one);
  const listed = (title, items, note) =>
    items.length
      ? [
          el("h4", {}, title),
          el(
            "div",
            { class: "thumbs" },
            items.map((one) => el("figure", {}, thumb(one), el("figcaption", {}, note(one)))),
          ),
        ]
      : [];
  return [
    el("h3", {}, "Why"),
    ...(input.picture && occlusion ? [heated(input.picture, occlusion)] : []),
    ...(words?.length ? [marked(words)] : []),
    ...listed("Nearest examples", near, label),
    ...listed("Counted most, for (+) or against (−)", counted, sign),
  ];
}

/** The picture with a veil of colour where hiding it would change the answer. */
function heated(picture, grid) {
  const canvas = el("canvas", { width: grid[0].length, height: grid.length, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  const most = Math.max(...grid.flat().map(Math.abs), LITTLE);
  grid.forEach((row, y) =>
    row.forEach((value, x) => {
      context.fillStyle =
        value > 0 ? `rgb(36 97 196 / ${(0.75 * value) / most})` : `rgb(194 103 27 / ${(-0.75 * value) / most})`;
      context.fillRect(x, y, 1, 1);
    }),
  );
  const words =
    most > LITTLE
      ? "Marked is what the answer rests on: without it, its probability would fall most."
      : "No part of it matters much: the answer would be the same without any of them.";
  return el(
    "div",
    { class: "line top" },
    el("div", { class: "heat" }, el("img", { src: picture, alt: "What was asked", class: glyphs && "ink" }), canvas),
    el("p", { class: "soft" }, words),
  );
}

/** The text with its words marked by how much they count. */
function marked(words) {
  const most = Math.max(...words.map(([, value]) => Math.abs(value)), 1e-9);
  return el(
    "p",
    { class: "marked" },
    words.flatMap(([word, value]) => {
      const mark = el("mark", { class: value < 0 ? "against" : null, title: value.toPrecision(2) }, word);
      mark.style.setProperty("--much", Math.abs(value) / most);
      return [mark, " "];
    }),
  );
}
