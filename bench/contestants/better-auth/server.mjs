/**
 * Serves Better Auth on Node's own HTTP server: `node server.mjs <port> <workers>`.
 *
 * After https://better-auth.com/docs/integrations/node and https://nodejs.org/api/cluster.html. One
 * worker is this process itself.
 */

import cluster from "node:cluster";
import { createServer } from "node:http";

import { toNodeHandler } from "better-auth/node";

import { auth } from "./auth.mjs";

const [port, workers] = process.argv.slice(2).map(Number);

if (cluster.isPrimary && workers > 1) {
  for (let started = 0; started < workers; started += 1) cluster.fork();
  process.on("SIGTERM", () => {
    for (const worker of Object.values(cluster.workers)) worker.process.kill();
    process.exit();
  });
} else {
  createServer(toNodeHandler(auth)).listen(port, "127.0.0.1");
}
