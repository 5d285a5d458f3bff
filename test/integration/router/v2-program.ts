import { doubling, startV2Server } from "./v2-server.ts";

/** A V2 server in a process of its own, to be killed. Says its port on standard output. */
const server = await startV2Server({
  models: {
    digits: {
      ...doubling,
      // Long enough that a kill always finds requests under way.
      infer: async (request) => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        return doubling.infer(request);
      },
    },
  },
});
process.stdout.write(`${server.port}\n`);
