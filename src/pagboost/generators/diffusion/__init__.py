"""Diffusion models: EDM's parametrisation (karras) and DDPM's (ddpm)."""
