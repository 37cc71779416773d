// How good a task is by its own examples, and what one more of them would bring.
import { count, el, level, percent, short } from "./api.js";

const WORTH = 10; // points of accuracy at which the meter is full

/** What leaving out one example after the other found. */
export function measured({ accuracy, mse, low, high, examples }) {
  const about = `of its own examples, each asked about while the others teach`;
  if (typeof accuracy === "number")
    return [
      el("p", {}, el("strong", {}, `Right on ${percent(accuracy)}`), ` ${about}.`),
      level(accuracy, `Right on ${percent(accuracy)}`),
      el(
        "p",
        { class: "soft" },
        `95% interval ${percent(low)} to ${percent(high)}, over ${count(examples, "example")}.`,
      ),
    ];
  const span = low === undefined ? "" : ` (95% interval ${short(low)} to ${short(high)})`;
  return [el("p", {}, `Mean squared error ${short(mse)}${span} ${about}.`)];
}

/** What one more example would be worth, in points of accuracy. */
export function promised(next) {
  const { sentence, worth } = next ?? {};
  if (typeof worth !== "number") return [];
  return [level(worth / WORTH, "Worth of the next example"), el("span", {}, sentence)];
}
