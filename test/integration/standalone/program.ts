import { appendFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import { Worker } from "node:worker_threads";

/**
 * Stands in for a runtime in the tests of standalone: `serve` answers its version and drains as a runtime does,
 * `exit` ends at once. Environment: VERSION, JOURNAL (a file that gets one line an event), READY_FILE (ready once
 * it is there), CRASH (exits 3 after so many ms), STUBBORN (ignores SIGTERM), WORKER (has a thread), EXIT_CODE, WORDS (termination message).
 */
const { env } = process;

function note(event: string): void {
  if (env.JOURNAL)
    appendFileSync(
      env.JOURNAL,
      `${JSON.stringify({ event, pod: env.POD_NAME, pid: process.pid, at: Date.now() })}\n`,
    );
}

function die(code: number): never {
  if (env.WORDS) writeFileSync(env.NARU_TERMINATION_LOG ?? "", env.WORDS);
  process.exit(code);
}

note("start");
if (process.argv[2] === "exit") {
  console.log(`exits with ${env.EXIT_CODE}`);
  die(Number(env.EXIT_CODE ?? 0));
}
if (env.CRASH) setTimeout(() => die(3), Number(env.CRASH));

// As the inference runtime has: what is loaded into the process is loaded into it too.
if (env.WORKER) new Worker("setInterval(() => undefined, 1000)", { eval: true });

let draining = false;
let healthy = true;
const server = http.createServer((request, response) => {
  if (draining) response.setHeader("connection", "close");
  if (request.url === "/ready") response.writeHead(draining ? 503 : 200).end();
  else if (request.url === "/live") response.writeHead(healthy ? 200 : 500).end();
  else if (request.url === "/break") {
    healthy = false;
    response.end();
  } else if (request.url === "/env") response.end(JSON.stringify(env));
  else
    setTimeout(
      () => response.end(JSON.stringify({ version: env.VERSION, pod: env.POD_NAME })),
      Number(env.WORK ?? 2),
    );
});
server.keepAliveTimeout = 60_000;
let sockets = 0;
server.on("connection", (socket) => {
  sockets += 1;
  socket.once("close", () => {
    sockets -= 1;
    if (draining && sockets === 0) leave();
  });
});
server.listen(Number(env.NARU_HTTP_PORT), env.NARU_LISTEN_HOST, () => console.log(`serves ${env.VERSION}`));

function leave(): void {
  note("exit");
  process.exit(0);
}

process.on("SIGTERM", () => {
  note("SIGTERM");
  if (env.STUBBORN) return;
  draining = true;
  if (sockets === 0) leave();
  // Idle connections stay for peers that still hold them, for so long.
  setTimeout(leave, 1_000);
});
