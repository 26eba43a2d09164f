"""What a frozen encoder is worth, and what its embeddings look like."""
