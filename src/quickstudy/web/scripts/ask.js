// A question and its answer: how sure it is, why, and one click to put it right.
import { api, attempt, el, find, later, level, percent, short, target } from "./api.js";
import { giver, glyphs } from "./give.js";
import { reasons } from "./why.js";

const MOST = 8; // classes that are shown at once
const NORMAL = 1.96; // standard deviations to each side that hold 95 %
const KEY = "quickstudy: unsure below";

/**
 * The panel in which a task is asked.
 *
 * @param {string} path of the task.
 * @param {(input: object, y: any) => Promise} teach makes an asked input an example.
 * @param {(item: object) => Element} thumb shows an example.
 * @param {(id: string) => object} item finds one.
 */
export function asker({ path, teach, thumb, item }) {
  const place = find("answer");
  const state = { task: null, asked: [], answers: [], at: 0, turn: 0, below: localStorage.getItem(KEY) };

  async function ask(inputs) {
    Object.assign(state, { asked: inputs, at: 0 });
    try {
      await again();
    } finally {
      find("ask").removeAttribute("aria-busy");
    }
  }

  async function again() {
    if (!state.asked.length) return;
    const turn = ++state.turn;
    if (!state.task.ready) {
      place.replaceChildren(el("p", { class: "notice" }, state.task.why_not ?? "Teach it first."));
      return;
    }
    const { answers } = await api("POST", `${path}/predict`, { x: state.asked.map(({ x }) => x) });
    if (turn !== state.turn) return; // asked again meanwhile
    state.answers = answers;
    show();
  }

  function show() {
    const [input, answer] = [state.asked[state.at], state.answers[state.at]];
    const why = el("div", { class: "why", "aria-busy": "true" });
    find("spoken").textContent = verdict(answer);
    place.replaceChildren(
      ...(state.asked.length > 1 ? [several()] : []),
      ...(answer.probabilities ? classified(input, answer) : estimated(input, answer)),
      why,
    );
    explain(input, state.turn, why);
  }

  /** What was asked together, each with its answer. */
  function several() {
    return el(
      "div",
      { class: "several", role: "group", "aria-label": "What was asked" },
      state.asked.map((input, i) => {
        const said = verdict(state.answers[i]);
        const choose = () => {
          state.at = i;
          show();
          place.querySelectorAll(".several button")[i].focus();
        };
        return el(
          "button",
          { type: "button", "aria-pressed": String(i === state.at), onclick: choose },
          input.picture ? el("img", { src: input.picture, alt: "", class: glyphs && "ink" }) : el("q", {}, input.text),
          el("span", {}, said),
        );
      }),
    );
  }

  // Until somebody moves the threshold it is the service's: half way from chance to certain.
  const usual = (answer) => (1 + 1 / Object.keys(answer.probabilities).length) / 2;
  const unsure = (answer) => (state.below === null ? answer.unsure : answer.confidence < Number(state.below));
  const verdict = (answer) =>
    "value" in answer ? short(answer.value) : unsure(answer) ? "I don't know" : answer.answer;

  function classified(input, answer) {
    const ranked = Object.entries(answer.probabilities).sort(([, a], [, b]) => b - a);
    const bars = ranked.map(([name, share]) => bar(input, name, share));
    const rest = bars.splice(MOST);
    return [
      headline(answer),
      el("div", { class: "bars", role: "group", "aria-label": "Which class is right?" }, bars),
      rest.length
        ? el(
            "details",
            { class: "plain" },
            el("summary", {}, `${rest.length} more`),
            el("div", { class: "bars" }, rest),
          )
        : "",
      el("p", { class: "soft" }, "Wrong? Click the right class, and it learns from it at once."),
      threshold(Number(state.below ?? usual(answer))),
    ];
  }

  function headline(answer) {
    const words = unsure(answer)
      ? [el("strong", {}, "I don't know"), el("span", {}, `perhaps ${answer.answer}, ${percent(answer.confidence)}`)]
      : [el("strong", {}, answer.answer), el("span", {}, percent(answer.confidence))];
    return el("p", { class: unsure(answer) ? "verdict unsure" : "verdict" }, words);
  }

  function bar(input, name, share) {
    const learn = () => attempt(() => teach(input, name));
    return el(
      "button",
      {
        type: "button",
        class: "bar",
        onclick: learn,
        title: `It is ${name}: learn it`,
        "aria-label": `${name}, ${percent(share)}. Click if this is right.`,
      },
      el("span", { class: "name" }, name),
      level(share),
      el("span", { class: "number" }, percent(share)),
    );
  }

  function threshold(below) {
    const said = el("output", {}, percent(below));
    const slider = el("input", { type: "range", min: 0, max: 100, value: Math.round(100 * below) });
    slider.addEventListener("input", () => {
      state.below = slider.value / 100;
      said.textContent = percent(state.below);
      localStorage.setItem(KEY, state.below);
      place.querySelector(".verdict").replaceWith(headline(state.answers[state.at]));
    });
    return el("label", { class: "threshold" }, el("span", {}, "Say “I don't know” below ", said), slider);
  }

  function estimated(input, { value, deviation }) {
    const right = el("input", {
      name: "right",
      inputmode: "decimal",
      autocomplete: "off",
      "aria-label": "The right value",
    });
    const form = el("form", { class: "line" }, right, el("button", {}, "Teach the right value"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      attempt(() => teach(input, target(right.value)));
    });
    const half = [deviation ?? []].flat().map((one) => NORMAL * one);
    const spread = half.length ? `± ${short(half)} (95%)` : "without saying how sure it is";
    return [el("p", { class: "verdict" }, el("strong", {}, short(value)), el("span", {}, spread)), form];
  }

  const explain = later(async (input, turn, why) => {
    try {
      const said = await api("POST", `${path}/explain`, { x: input.x });
      if (turn === state.turn && why.isConnected) why.replaceChildren(...reasons(input, said, { item, thumb }));
    } catch (error) {
      why.replaceChildren(el("p", { class: "soft" }, `Why is not known: ${error.message}`));
    }
    why.removeAttribute("aria-busy");
  }, 150);

  find("question").append(giver("a question", ask, find("ask"), { asking: true }));
  return {
    refresh(task) {
      state.task = task;
      attempt(again);
    },
  };
}
