"""Two ways to compute the same numbers: a C source compiled on the user's machine, and torch operations."""
