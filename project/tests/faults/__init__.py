"""Faults that the service has to survive, at full length: `make faults` runs them."""
