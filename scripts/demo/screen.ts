import type { WriteStream } from "node:tty";
import { panel } from "./panel.ts";
import { plainLines } from "./plain.ts";
import type { Scene } from "./scene.ts";

/** More than any panel has: what is taller than its terminal can't be drawn over. */
const LINES = 18;
const PLAIN_MILLISECONDS = 1000;
const [HIDE_CURSOR, SHOW_CURSOR] = ["\x1b[?25l", "\x1b[?25h"];

/** Where scenes are shown, a few times a second. */
export interface Screen {
  show(scene: Scene): void;
  /** Leaves the last scene where it is, and the terminal as it was. */
  close(): void;
}

export function openScreen(out: WriteStream): Screen {
  const drawable = out.isTTY && out.columns > 40 && out.rows > LINES && process.env.TERM !== "dumb";
  return drawable ? redrawn(out) : plain(out);
}

function redrawn(out: WriteStream): Screen {
  let drawn = 0;
  const colours = out.hasColors();
  const onExit = () => out.write(SHOW_CURSOR);
  // A crash must not leave a terminal without its cursor.
  process.once("exit", onExit);
  return {
    show: (scene) => {
      // One column is left free: a terminal that wraps at the last one would shift everything.
      const lines = panel(scene, out.columns - 1, colours);
      const up = drawn === 0 ? HIDE_CURSOR : `\x1b[${drawn}A`;
      out.write(`${up}\r${lines.map((line) => `${line}\x1b[K\n`).join("")}\x1b[J`);
      drawn = lines.length;
    },
    close: () => {
      process.off("exit", onExit);
      out.write(SHOW_CURSOR);
    },
  };
}

function plain(out: NodeJS.WritableStream): Screen {
  let shown: Scene | undefined;
  return {
    show: (scene) => {
      const told = scene.acts.some((act, index) => act.state !== shown?.acts[index]?.state);
      const due = shown === undefined || scene.seconds - shown.seconds >= PLAIN_MILLISECONDS / 1000;
      if (!told && !due) return;
      for (const line of plainLines(scene, shown)) out.write(`${line}\n`);
      shown = scene;
    },
    close: () => undefined,
  };
}
