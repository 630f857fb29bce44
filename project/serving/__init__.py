"""What the servers take on, and when they are ready for it."""
