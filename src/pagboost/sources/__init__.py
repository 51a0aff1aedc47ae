"""Sources: where images, their classes and weights come from; read as streams, checked by hash, never executed."""
