"""What Python code calls (docs/api.md): the commands' own steps, on arrays, tensors, data sets and paths."""
