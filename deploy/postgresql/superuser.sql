-- Removes the superuser's password. Inside the container it connects through the socket without one;
-- over the network nobody can connect as the superuser. The compose files run this once, after role.sql.
ALTER ROLE postgres PASSWORD NULL;
