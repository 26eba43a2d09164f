"""One module per figure: a pure data function and a draw function."""
