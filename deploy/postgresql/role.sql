-- Makes the role `users` and the database `users` that it owns. See docs/deployment.md.
-- Run it by psql 14 or newer as a superuser, with the role's password in USERS_DB_PASSWORD. Where role,
-- database or tables exist, it sets the password and the owner, so it can be run again.
\set ON_ERROR_STOP on
\getenv password USERS_DB_PASSWORD
SELECT 'CREATE ROLE users' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'users') \gexec
ALTER ROLE users LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
SELECT 'CREATE DATABASE users ENCODING ''UTF8'' TEMPLATE template0'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'users') \gexec
ALTER DATABASE users OWNER TO users;
REVOKE ALL ON DATABASE users FROM PUBLIC;
\connect users
ALTER SCHEMA public OWNER TO users;
SELECT format('ALTER TABLE public.%I OWNER TO users', tablename)
  FROM pg_tables WHERE schemaname = 'public' \gexec
