/** Creates the schema, as in https://better-auth.com/docs/concepts/database. */

import { getMigrations } from "better-auth/db/migration";

import { auth } from "./auth.mjs";

const { runMigrations } = await getMigrations(auth.options);
await runMigrations();
process.exit();
