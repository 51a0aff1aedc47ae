"""Generative adversarial networks: shared blocks, one loss per method, one training loop."""
