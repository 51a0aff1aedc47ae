"""Files and folders: read with one line for whatever is wrong with them, written whole or not at all."""
