"""One module per item, as plain data."""
