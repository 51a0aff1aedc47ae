"""Sources: where images and their classes come from; read as streams, checked by hash, never unpickled."""
