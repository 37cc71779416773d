// Texts, numbers and rows of tables, made into inputs.
import { bundle } from "./api.js";

/** The inputs in a text that was typed, pasted or dropped: one a line, but for a series, or where it is one whole. */
export async function parse(text, whole = false) {
  const lines = text.split(/\r?\n/).filter((line) => line.trim());
  if (bundle.takes === "text")
    return (whole ? [text.trim()] : lines.map((line) => line.trim())).map((x) => ({ x, text: x }));
  if (bundle.takes === "series") return [{ x: lines.map(numbers), text: `${lines.length} points` }];
  if (bundle.takes === "numbers") return nested(text, lines);
  const [first, ...rest] = cells(text);
  const named = first.every((name) => bundle.columns.includes(name));
  return (named ? rest : [first, ...rest]).map((values) => row(named ? first : bundle.columns, values));
}

/** One input a line, or JSON, for those of more than one dimension. */
function nested(text, lines) {
  if (!text.trim().startsWith("[")) return lines.map((line) => ({ x: numbers(line), text: line }));
  const value = JSON.parse(text);
  const depth = (v) => (Array.isArray(v) ? 1 + depth(v[0]) : 0);
  return (depth(value) > bundle.feature.length ? value : [value]).map((x) => ({
    x,
    text: JSON.stringify(x).slice(0, 200),
  }));
}

function numbers(line) {
  const values = line
    .trim()
    .split(/[\s,;]+/)
    .map(Number);
  if (values.some(Number.isNaN)) throw new Error(`“${line.slice(0, 60)}” is not numbers with commas between them.`);
  return values;
}

/** One row of a table. */
export function row(names, values) {
  if (names.length !== values.length)
    throw new Error(`A row has ${values.length} cells, but there are ${names.length} columns: ${names.join(", ")}.`);
  const entries = names.map((name, i) => [name, values[i].trim() || null]);
  return {
    x: Object.fromEntries(entries),
    text: entries.map(([name, value]) => `${name}: ${value ?? "–"}`).join(", "),
  };
}

/** The cells of a CSV, with tabs or semicolons too, and quotes as RFC 4180 has them. */
function cells(text) {
  const rows = [[]];
  const head = text.split("\n", 1)[0];
  const between = ["\t", ";"].find((sign) => head.includes(sign)) ?? ",";
  const pattern = new RegExp(`(?:"((?:[^"]|"")*)"|([^"${between}\\n\\r]*))(${between}|\\r?\\n|$)`, "g");
  for (const [all, quoted, plain, end] of text.trim().matchAll(pattern)) {
    rows.at(-1).push(quoted === undefined ? plain.trim() : quoted.replaceAll('""', '"'));
    if (!end) break;
    if (end !== between) rows.push([]);
    if (!all) break;
  }
  return rows.filter((cells) => cells.some(Boolean));
}
