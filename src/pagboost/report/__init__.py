"""Papers as data: their tables, figures and claims, rendered from metrics; nothing here imports torch."""
