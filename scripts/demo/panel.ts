import { styleText } from "node:util";
import type { Act, Scene, Split } from "./scene.ts";

/** A piece of a line; its style has no width. */
interface Span {
  readonly text: string;
  readonly style?: Style;
}

type Style = "bold" | "dim" | "green" | "red" | "yellow" | "cyan";

const MARKS: Readonly<Record<Act["state"], Span>> = {
  Waiting: { text: "·", style: "dim" },
  UnderWay: { text: "▸", style: "cyan" },
  Done: { text: "✔", style: "green" },
  Failed: { text: "✘", style: "red" },
};
const BARS = "▁▂▃▄▅▆▇█";
const WIDEST = 120;

/** The live view: one string a line, none wider than `columns`; as many lines at every moment of a demo. */
export function panel(scene: Scene, columns: number, colours: boolean): string[] {
  const width = Math.min(columns, WIDEST);
  return [
    [],
    heading(scene),
    [],
    ...scene.acts.map((act) => actLine(act, scene.acts)),
    [],
    split(scene.split),
    [],
    numbers(scene),
    latencies(scene, width),
    [],
  ].map((spans) => paint(spans, width, colours));
}

function heading({ seconds, address }: Scene): Span[] {
  const clock = `${String(Math.floor(seconds / 60))}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  return [
    { text: "  Naru demo", style: "bold" },
    { text: `  ${clock}   ${address === undefined ? "" : `digits at ${address}`}`, style: "dim" },
  ];
}

function actLine({ title, state, detail }: Act, acts: readonly Act[]): Span[] {
  const wide = Math.max(...acts.map((act) => act.title.length));
  return [
    { text: "  " },
    MARKS[state],
    { text: ` ${title.padEnd(wide)}  `, ...(state === "Waiting" ? { style: "dim" } : {}) },
    { text: detail, ...(state === "UnderWay" ? {} : { style: state === "Failed" ? "red" : "dim" }) },
  ];
}

const SPLIT_WIDTH = 40;

function split(traffic: Split | undefined): Span[] {
  if (traffic === undefined) return [{ text: "  starting", style: "dim" }];
  const { stable, canary } = traffic;
  if (canary === undefined) {
    return [
      { text: `  ${stable} ` },
      { text: "█".repeat(SPLIT_WIDTH), style: "green" },
      { text: " 100 % of the requests" },
    ];
  }
  const { version, weightPercent } = canary;
  const cells = Math.round((weightPercent * SPLIT_WIDTH) / 100);
  return [
    { text: `  ${stable} ` },
    { text: "█".repeat(SPLIT_WIDTH - cells), style: "green" },
    { text: (cells === 0 ? "" : "█").repeat(cells), style: "yellow" },
    { text: ` ${100 - weightPercent} % / ${weightPercent} % ${version}` },
  ];
}

function numbers({ recent, sent, lost }: Scene): Span[] {
  return [
    { text: `  ${Math.round(recent.perSecond)} requests/s   p50 ${ms(recent.p50)}   p99 ${ms(recent.p99)}` },
    { text: `   sent ${sent.toLocaleString("en")}   ` },
    { text: `lost ${lost}`, style: lost === 0 ? "green" : "red" },
  ];
}

function latencies({ history }: Scene, width: number): Span[] {
  const shown = history.slice(-Math.max(0, width - 30));
  const most = Math.max(...shown, 0);
  const bar = (value: number) =>
    BARS[Math.min(BARS.length - 1, Math.floor((value / most) * BARS.length))] ?? "";
  return [
    { text: "  p99 ", style: "dim" },
    { text: shown.map(bar).join(""), style: "cyan" },
    { text: shown.length === 0 ? "" : ` highest ${ms(most)}`, style: "dim" },
  ];
}

/** Milliseconds with as many digits as say something. */
export function ms(value: number | undefined): string {
  return value === undefined ? "– ms" : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/** Cuts before it paints: a style has no width. */
function paint(spans: readonly Span[], width: number, colours: boolean): string {
  let room = width;
  let line = "";
  for (const { text, style } of spans) {
    const whole = [...text];
    const cut = whole.length <= room ? text : `${whole.slice(0, Math.max(0, room - 1)).join("")}…`;
    if (room <= 0) break;
    room -= whole.length;
    line += style === undefined || !colours ? cut : styleText(style, cut, { validateStream: false });
  }
  return line;
}
