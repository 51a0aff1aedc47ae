"""Perceptually aligned gradients in image generation: one library for three papers (see docs/architecture.md)."""
