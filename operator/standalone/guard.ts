import { isMainThread } from "node:worker_threads";

/**
 * Loaded into every process that standalone starts (`node --import`), ahead of its program. Standard input is a
 * pipe whose other end `naru up` holds: when it closes, `naru up` is gone, even by SIGKILL, and with it the only
 * way to this process. Then it is told to drain, and ended for good if it has not within the time.
 */
const drainMilliseconds = 5_000;

// Worker threads load it too, and their standard input is not the process's.
if (isMainThread) {
  process.stdin.on("end", leave);
  process.stdin.on("error", leave);
  process.stdin.resume();
  process.stdin.unref();
}

function leave(): void {
  setTimeout(() => process.kill(process.pid, "SIGKILL"), drainMilliseconds).unref();
  process.kill(process.pid, "SIGTERM");
}
