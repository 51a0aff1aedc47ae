"""Guides: classifiers whose gradients make images better, and how they are trained or read."""
