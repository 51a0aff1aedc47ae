"""What may stand in a configuration: one class per kind, its options, their types, ranges and defaults. No torch."""
