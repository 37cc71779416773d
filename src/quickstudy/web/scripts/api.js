// What every view needs: the service, elements, messages. Text goes in as text nodes alone, never as HTML.

/** Ask the service; gives the JSON it answers, or throws its message. */
export async function api(method, path, body, type = "application/json") {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.headers["Content-Type"] = type;
    options.body = type === "application/json" ? JSON.stringify(body) : body;
  }
  let response;
  try {
    response = await fetch(`/v1${path}`, options);
  } catch {
    throw new Error("The service does not answer. Is it still running?");
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error?.message ?? `The service answered ${response.status}, an error.`);
  return answer;
}

/** The facts of the bundle that the page was drawn with. */
export const bundle = JSON.parse(document.getElementById("main").dataset.bundle ?? "{}");

export const find = (id) => document.getElementById(id);

/** An element: `el("button", { class: "main", onclick }, "Add")`; what is null or false is left out. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** A message that goes away; with `undo`, a button that takes back what was done. */
export function tell(message, { undo, bad = false } = {}) {
  const toast = el("div", { class: bad ? "toast bad" : "toast" }, el("span", {}, message));
  const close = () => toast.remove();
  if (undo) toast.append(el("button", { onclick: () => (close(), attempt(undo)) }, "Undo"));
  toast.append(el("button", { class: "close", "aria-label": "Close this message", onclick: close }, "×"));
  find("toasts").append(toast);
  while (find("toasts").children.length > 3) find("toasts").firstChild.remove();
  setTimeout(close, bad || undo ? 12000 : 5000);
}

/** Do something; what goes wrong is told in the words of the service. */
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    tell(error.message, { bad: true });
    return undefined;
  }
}

/** "3 examples", "1 example". */
export const count = (n, what, more = `${what}s`) => `${n.toLocaleString("en")} ${n === 1 ? what : more}`;

/** A number, or several, to three digits and without a tail of zeros. */
export const short = (value) =>
  Array.isArray(value)
    ? value.map(short).join(", ")
    : Number.isFinite(value)
      ? String(Number(value.toPrecision(3)))
      : "?";

/** The number that somebody typed, or the list of several; an error where it is none. */
export function target(text) {
  const values = text
    .trim()
    .split(/[;\s]+|,\s+/)
    .map((part) => Number(part.replace(",", ".")));
  if (!text.trim() || values.some(Number.isNaN)) throw new Error("Say what the value is: a number.");
  return values.length === 1 ? values[0] : values;
}

/** A bar that says how much of the whole something is; `share` is 0..1. */
export function level(share, label) {
  const fill = el("i");
  fill.style.width = `${Math.max(0, Math.min(100, 100 * share))}%`;
  const spoken = label
    ? { role: "meter", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 1, "aria-valuenow": share }
    : {};
  return el("span", { class: "track", ...spoken }, fill);
}

export const percent = (share) => `${Math.round(100 * share)}%`;

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** "5 minutes ago". */
export function ago(when) {
  const seconds = (new Date(when) - Date.now()) / 1000;
  if (!Number.isFinite(seconds)) return "";
  const sizes = [
    ["day", 86400],
    ["hour", 3600],
    ["minute", 60],
  ];
  const [unit, size] = sizes.find(([, size]) => -seconds >= size) ?? ["second", 1];
  return unit === "second" ? "just now" : relative.format(Math.round(seconds / size), unit);
}

/** The action, once it has not been called for for so many milliseconds. */
export function later(action, wait) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...given), wait);
  };
}
