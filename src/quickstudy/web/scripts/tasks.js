// The list of tasks: make, search, rename, export, delete with undo.
import { ago, api, attempt, bundle, count, el, find, later, tell } from "./api.js";

const PAGE = 50;
const form = find("new");
let shown = [];
let asked = 0;

/** What somebody typed, as class names: commas or line breaks between them, none twice. */
const names = (text) => [
  ...new Set(
    text
      .split(/[,;\n]/)
      .map((name) => name.trim())
      .filter(Boolean),
  ),
];

form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const classes = form.elements.classes ? names(form.elements.classes.value) : bundle.classes;
    const name = form.elements.name?.value.trim() || classes.join(", ").slice(0, 200) || "New task";
    const task = await api("POST", "/tasks", { name, classes });
    location.assign(`/tasks/${encodeURIComponent(task.id)}`);
  });
});

async function load({ more = false } = {}) {
  const turn = ++asked;
  const search = find("search").value.trim();
  const query = new URLSearchParams({ search, offset: more ? shown.length : 0, limit: PAGE });
  const { tasks, total } = await api("GET", `/tasks?${query}`);
  if (turn !== asked) return; // a later question was asked meanwhile
  shown = more ? [...shown, ...tasks] : tasks;
  find("tasks").replaceChildren(...shown.map(row));
  find("list").hidden = !total && !search;
  find("steps").hidden = total > 0 || Boolean(search);
  find("none").hidden = Boolean(total);
  find("total").textContent = total ? total.toLocaleString("en") : "";
  find("more").hidden = shown.length >= total;
}

function row(task) {
  const path = `/tasks/${encodeURIComponent(task.id)}`;
  const facts = [
    task.classes.length ? count(task.classes.length, "class", "classes") : null,
    count(task.examples, "example"),
    ago(task.updated),
  ];
  const line = el(
    "li",
    {},
    el(
      "a",
      { class: "grow", href: path },
      el("strong", {}, task.name),
      el("small", {}, facts.filter(Boolean).join(" · ")),
    ),
    el(
      "details",
      { class: "menu" },
      el("summary", { "aria-label": `More for ${task.name}` }, "⋯"),
      el(
        "div",
        { class: "sheet" },
        el("button", { onclick: () => rename(line, task) }, "Rename"),
        ...["state", "json", "onnx"].map((format) =>
          el(
            "a",
            { href: `/v1${path}/export?format=${format}`, download: true },
            `Export ${format === "state" ? "state" : format.toUpperCase()}`,
          ),
        ),
        el("button", { class: "danger", onclick: () => remove(task) }, "Delete"),
      ),
    ),
  );
  return line;
}

function rename(line, task) {
  const input = el("input", { value: task.name, "aria-label": `New name of ${task.name}`, maxlength: 200 });
  const keep = async (event) => {
    event.preventDefault();
    await attempt(() => api("PATCH", `/tasks/${task.id}`, { name: input.value.trim() || task.name }));
    await attempt(load);
  };
  const form = el("form", { class: "line grow", onsubmit: keep }, input, el("button", { class: "main" }, "Rename"));
  input.addEventListener("keydown", (event) => event.key === "Escape" && attempt(load));
  line.replaceChildren(form);
  input.select();
}

async function remove(task) {
  await attempt(async () => {
    await api("DELETE", `/tasks/${task.id}`);
    tell(`“${task.name}” is deleted.`, {
      undo: async () => {
        await api("POST", `/tasks/${task.id}/restore`);
        await load();
      },
    });
    await load();
  });
}

find("search").addEventListener(
  "input",
  later(() => attempt(load), 150),
);
find("more").addEventListener("click", () => attempt(() => load({ more: true })));
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]"))
    if (!menu.contains(event.target)) menu.open = false;
});
attempt(load);
form.querySelector("input").focus();
