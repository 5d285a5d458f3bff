/** What packages bring along that no program reads. Licences stay. */
const NEEDLESS = [
  /\.d\.[cm]?ts$/,
  /\.(?:map|ts|mts|cts|tsbuildinfo|markdown)$/,
  /(?:^|\/)(?:tests?|__tests__|examples?|benchmarks?|\.github)\//,
];

/** onnxruntime brings its library for every platform: 290 MB, of which one machine needs a tenth. */
const FOREIGN = /^node_modules\/onnxruntime-node\/bin\/napi-v\d+\/([^/]+)\/([^/]+)\//;

/** Whether a file of a package, such as `node_modules/pino/pino.d.ts`, is of no use to a program on the platform. */
export function isNeedless(file: string, platform: { os: string; cpu: string }): boolean {
  const foreign = FOREIGN.exec(file);
  if (foreign !== null) return foreign[1] !== platform.os || foreign[2] !== platform.cpu;
  return NEEDLESS.some((pattern) => pattern.test(file));
}
