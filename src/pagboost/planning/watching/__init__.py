"""What a run is doing: its journal, and what follows from it and from jobs' logs, in this terminal and in others."""
