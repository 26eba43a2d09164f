"""Three ways to compute the same numbers: C, torch.compile and plain torch operations."""
