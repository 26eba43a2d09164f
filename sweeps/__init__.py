"""Studies as code: which trials to run, and the command lines that run them."""
