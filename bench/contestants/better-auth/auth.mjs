/**
 * The configuration of Better Auth.
 *
 * After https://better-auth.com/docs/authentication/email-password (bcrypt for its own scrypt),
 * https://better-auth.com/docs/adapters/postgresql, https://better-auth.com/docs/plugins/bearer and
 * https://better-auth.com/docs/concepts/rate-limit. Its cookie cache is off, as by default: every
 * session is looked up in the database.
 */

import { hash, verify } from "@node-rs/bcrypt";
import { betterAuth } from "better-auth";
import { bearer } from "better-auth/plugins";
import { Pool } from "pg";

const cost = Number(process.env.BENCH_COST);
// Requests are counted in memory, as in production; the limit is never reached.
const beyondReach = { window: 10, max: Number.MAX_SAFE_INTEGER };

export const auth = betterAuth({
  baseURL: process.env.BENCH_URL,
  secret: process.env.SECRET_KEY,
  database: new Pool({ connectionString: process.env.DATABASE_URL }),
  emailAndPassword: {
    enabled: true,
    password: {
      hash: (password) => hash(password, { cost }),
      verify: ({ hash: kept, password }) => verify(password, kept),
    },
  },
  plugins: [bearer()],
  rateLimit: {
    enabled: true,
    ...beyondReach,
    customRules: { "/sign-in/*": beyondReach, "/sign-up/*": beyondReach },
  },
  logger: { level: "warn" },
  telemetry: { enabled: false },
});
