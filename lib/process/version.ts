import fs from "node:fs";

/** The release, from the package.json of this installation: beside `lib`, or above `dist`. */
export function naruVersion(): string {
  const file = ["../../package.json", "../../../package.json"]
    .map((above) => new URL(above, import.meta.url))
    .find((candidate) => fs.existsSync(candidate));
  if (file === undefined) throw new Error("package.json is missing from this installation");
  return (JSON.parse(fs.readFileSync(file, "utf8")) as { version: string }).version;
}
