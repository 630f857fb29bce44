"""Does deeds: the only place that commits; knows no request."""
