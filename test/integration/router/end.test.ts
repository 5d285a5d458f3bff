import { once } from "node:events";
import { connect } from "node:net";
import { expect, it } from "vitest";
import { router, server } from "./harness.ts";

it("ends although somebody holds a connection to its admin port on which nothing was asked yet", async () => {
  const backend = await server();
  const stable = { revision: "r1", weightPercent: 100, backend: { http: backend.url } };
  const { admin, running } = await router({ generation: "g1", model: "digits", stable });
  const socket = connect(Number(new URL(admin).port), "127.0.0.1");
  await once(socket, "connect");
  // Known to the server, not only to the kernel.
  await fetch(`${admin}/livez`);
  const closed = once(socket, "close");
  socket.on("error", () => socket.destroy());
  socket.resume();
  await running.drain();
  await closed;
  expect(socket.destroyed).toBe(true);
});
