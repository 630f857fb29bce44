"""Pure computation, which imports neither Flask nor the database nor the settings."""
