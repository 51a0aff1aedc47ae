"""Rehearsals: a whole scale at full width, of few images and iterations, on files made up in the real ones' formats."""
