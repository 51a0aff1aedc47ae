"""What the command line does: src/*.py and `pagboost COMMAND`, a module each, `main` and its help as docstring."""
