"""Everything about HTTP that concerns every route: bodies, responses, errors and middleware."""
