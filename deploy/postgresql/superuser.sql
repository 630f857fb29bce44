-- Takes the superuser's password away: in the container it connects by the socket, which asks for none,
-- and nobody can connect as it over the network. The compose files run this once, after role.sql.
ALTER ROLE postgres PASSWORD NULL;
