// The examples of a task: small in the cards, large in a window where they can be taken away.
import { ago, attempt, bundle, count, el, find, short } from "./api.js";
import { glyphs } from "./give.js";

const SEEN = 18; // examples of a class that are shown; the rest on demand
const classes = bundle.kind === "classification";

/** An example as a small picture or a line of text; a click shows it large, and `forget` takes it away. */
export function thumb(item, path, forget) {
  const src = `/v1${path}/examples/${encodeURIComponent(item.id)}/picture`;
  const inside = () =>
    item.has_picture
      ? el("img", { src, alt: "", class: glyphs && "ink" })
      : el("span", {}, item.text ?? `Example ${item.id.slice(0, 4)}`);
  const enlarge = () => {
    const dialog = find("example");
    const close = () => dialog.close();
    const drop = () => {
      close();
      attempt(() => forget([item]));
    };
    dialog.replaceChildren(
      el("div", { class: item.has_picture ? "large" : "large words" }, inside()),
      el("p", {}, `Example of ${classes ? item.y : short(item.y)} `, el("small", {}, ago(item.added))),
      el(
        "div",
        { class: "line spread" },
        el("button", { class: "danger", onclick: drop }, "Remove"),
        el("button", { class: "main", autofocus: true, onclick: close }, "Close"),
      ),
    );
    dialog.showModal();
  };
  const label = item.has_picture && `Example of ${item.y}: show it`;
  return el(
    "button",
    { type: "button", class: item.has_picture ? "thumb" : "snippet", "aria-label": label, onclick: enlarge },
    inside(),
  );
}

/** Those of one card: `{ thumbs, number, draw }`. */
export function album(path, forget) {
  const thumbs = el("div", { class: "thumbs" });
  const number = el("span", { class: "count" });
  let seen = SEEN;
  const shown = (item) => {
    const small = thumb(item, path, forget);
    return classes ? small : el("figure", {}, small, el("figcaption", {}, short(item.y)));
  };
  const draw = (items) => {
    number.textContent = items.length || "";
    number.setAttribute("aria-label", count(items.length, "example"));
    const made = [...items].reverse().slice(0, seen).map(shown);
    const more = () => {
      seen = Infinity;
      draw(items);
    };
    if (items.length > seen)
      made.push(el("button", { type: "button", class: "quiet", onclick: more }, `${items.length - seen} more`));
    thumbs.replaceChildren(...made);
  };
  return { thumbs, number, draw };
}
