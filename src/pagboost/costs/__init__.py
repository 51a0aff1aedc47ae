"""What a run would take, before it is run: multiply-adds that are counted, at rates that were measured."""
