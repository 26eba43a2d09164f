"""What the table of trials says: pure functions of it."""
