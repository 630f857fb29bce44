-- Creates the role `users` and the database `users` that it owns. See docs/deployment.md.
-- Run it with psql 14 or newer as a superuser, or as a managed database's administrator (CREATEROLE and
-- CREATEDB), with the role's password in USERS_DB_PASSWORD. It can be run again: it sets the password, and
-- the owner of the database and of the tables in it.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
\getenv password USERS_DB_PASSWORD
SELECT 'CREATE ROLE users' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'users') \gexec
ALTER ROLE users LOGIN PASSWORD :'password';
-- Only a member can make the role an owner, unless it is a superuser.
GRANT users TO CURRENT_USER;
SELECT 'CREATE DATABASE users ENCODING ''UTF8'' TEMPLATE template0'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'users') \gexec
ALTER DATABASE users OWNER TO users;
REVOKE ALL ON DATABASE users FROM PUBLIC;
\connect users
ALTER SCHEMA public OWNER TO users;
SELECT format('ALTER TABLE public.%I OWNER TO users', tablename)
  FROM pg_tables WHERE schemaname = 'public' \gexec
