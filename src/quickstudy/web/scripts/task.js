// One task: its classes and their examples, what the next example is worth, its history.
import { ago, api, attempt, bundle, count, el, find, later, short, target, tell } from "./api.js";
import { asker } from "./ask.js";
import { album, thumb } from "./examples.js";
import { accept, giver } from "./give.js";
import { measured, promised } from "./quality.js";

const id = decodeURIComponent(location.pathname.split("/").at(-1));
const path = `/tasks/${encodeURIComponent(id)}`;
const TOGETHER = 20; // examples that are sent at a time
const classes = bundle.kind === "classification";
const cards = new Map(); // class -> { element, draw }
let task = { classes: [], items: [], history: [] };

async function refresh() {
  task = await api("GET", path);
  draw();
  question.refresh(task);
  measure();
}

async function teach(inputs, y) {
  const before = new Set(task.items.map((item) => item.id));
  for (let i = 0; i < inputs.length; i += TOGETHER)
    await api("POST", `${path}/examples`, {
      examples: inputs.slice(i, i + TOGETHER).map(({ x }) => ({ x, y })),
    });
  await refresh();
  return task.items.filter((item) => !before.has(item.id));
}

async function forget(items) {
  for (const item of items) await api("DELETE", `${path}/examples/${encodeURIComponent(item.id)}`);
  await refresh();
}

async function correct(input, y) {
  const added = await teach([input], y);
  tell(classes ? `Learned: this is “${y}”.` : `Learned: this is ${short(y)}.`, { undo: () => forget(added) });
}

function card(name) {
  const { thumbs, number, draw } = album(path, forget);
  const title = bundle.classes.length
    ? el("h3", {}, name)
    : el("input", {
        class: "title",
        value: name,
        maxlength: 200,
        autocomplete: "off",
        "aria-label": `Name of the class ${name}`,
      });
  title.addEventListener("change", () => attempt(() => rename(name, title)));
  title.addEventListener("keydown", (event) => event.key === "Enter" && title.blur());
  const element = el("article", { class: "card", "aria-label": `Class ${name}` });
  const give = giver(name, (inputs) => teach(inputs, name), element);
  const away = el("button", { class: "quiet", "aria-label": `Remove the class ${name}`, onclick: () => drop(name) }, "✕");
  element.append(el("header", { class: "line spread" }, title, number, bundle.classes.length ? "" : away), give, thumbs);
  return { element, draw };
}

/** Values in place of classes: one card, and every example has its number. */
function valueCard() {
  const value = el("input", {
    inputmode: "decimal",
    autocomplete: "off",
    placeholder: "its value",
    "aria-label": "Value of the next example",
  });
  const { thumbs, number, draw } = album(path, forget);
  const element = el("article", { class: "card broad", "aria-label": "Examples" });
  const give = giver("an example", async (inputs) => teach(inputs, target(value.value)), element);
  element.append(
    el("header", { class: "line spread" }, el("h3", {}, "Examples"), number),
    el("label", {}, "Value ", value),
    give,
    thumbs,
  );
  return { element, draw };
}

async function rename(name, title) {
  const wanted = title.value.trim();
  if (!wanted || wanted === name) {
    title.value = name;
    return;
  }
  try {
    await api("PATCH", path, { rename: { [name]: wanted } });
  } catch (error) {
    title.value = name;
    throw error;
  }
  await refresh();
}

function drop(name) {
  const many = task.items.filter(({ y }) => y === name).length;
  if (many && !confirm(`Remove “${name}” and its ${count(many, "example")}? This cannot be undone.`)) return;
  attempt(async () => {
    await api("PATCH", path, { drop: [name] });
    await refresh();
  });
}

function draw() {
  const wanted = classes ? task.classes.map(({ name }) => name) : [""];
  for (const [name, { element }] of cards)
    if (!wanted.includes(name)) {
      element.remove();
      cards.delete(name);
    }
  for (const name of wanted) {
    if (!cards.has(name)) cards.set(name, classes ? card(name) : valueCard());
    const { element, draw } = cards.get(name);
    if (!element.isConnected) find("cards").append(element);
    draw(classes ? task.items.filter(({ y }) => y === name) : task.items);
  }
  document.title = `${task.name} · quickstudy`;
  if (document.activeElement !== find("name")) find("name").value = task.name;
  find("hint").textContent = task.ready
    ? "It has learned. Ask it, or show it more."
    : (task.why_not ?? "Show it a few examples.");
  find("add").hidden = !classes || bundle.classes.length > 0;
  find("history").replaceChildren(
    ...[...task.history]
      .reverse()
      .map(({ at, what }) => el("li", {}, what, " ", el("time", { datetime: at, class: "soft" }, ago(at)))),
  );
}

/** Quality by leaving out one example after the other, and what one more would bring. */
const measure = later(async () => {
  const section = find("quality");
  section.hidden = !task.ready;
  if (!task.ready) return;
  try {
    const quality = await api("GET", `${path}/quality`);
    find("measured").replaceChildren(...measured(quality));
    find("worth").replaceChildren(...promised(quality.next_example));
  } catch (error) {
    find("measured").replaceChildren(el("p", { class: "soft" }, error.message));
  }
}, 400);

const question = asker({
  path,
  teach: correct,
  thumb: (item) => thumb(item, path, forget),
  item: (id) => task.items.find((item) => item.id === id),
});

find("add").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = event.target.elements.name;
  const name = field.value.trim();
  if (!name) return;
  if (cards.has(name)) return tell(`There is a class “${name}” already.`, { bad: true });
  attempt(async () => {
    await api("PATCH", path, { add: [name] });
    field.value = "";
    await refresh();
  });
});

const title = find("name");
title.addEventListener("change", () =>
  attempt(async () => {
    if (title.value.trim()) await api("PATCH", path, { name: title.value.trim() });
    await refresh();
  }),
);
title.addEventListener("keydown", (event) => event.key === "Enter" && title.blur());

find("delete").addEventListener("click", () =>
  attempt(async () => {
    await api("DELETE", path);
    document.body.classList.add("gone");
    tell(`“${task.name}” is deleted.`, {
      undo: async () => {
        await api("POST", `${path}/restore`);
        document.body.classList.remove("gone");
      },
    });
  }),
);

async function table(files) {
  const [file] = files;
  if (!file) return;
  const before = task.items.length;
  await api("POST", `${path}/examples`, await file.text(), "text/csv");
  await refresh();
  tell(`${count(task.items.length - before, "example")} added.`);
}

const whole = find("whole");
whole.hidden = bundle.takes === "image" || bundle.takes === "series";
whole.querySelector("input").addEventListener("change", (event) => attempt(() => table(event.target.files)));
accept(whole, (transfer) => attempt(() => table(transfer.files)));
for (const format of ["state", "json", "onnx"]) find(`export-${format}`).href = `/v1${path}/export?format=${format}`;
// What is dropped beside a card is not opened in place of the page.
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
attempt(refresh);
