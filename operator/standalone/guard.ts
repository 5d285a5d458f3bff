/**
 * Loaded into every process that standalone starts (`node --import`), ahead of its program. Standard input is a
 * pipe whose other end `naru up` holds: when it closes, `naru up` is gone, even by SIGKILL, and with it the only
 * way to this process. Then it is told to drain, and ended for good if it has not within the time.
 */
const drainMilliseconds = 5_000;

process.stdin.on("end", leave);
process.stdin.on("error", leave);
process.stdin.resume();
if ("unref" in process.stdin) process.stdin.unref();

function leave(): void {
  setTimeout(() => process.kill(process.pid, "SIGKILL"), drainMilliseconds).unref();
  process.kill(process.pid, "SIGTERM");
}
