"""The machine that a job runs on: its GPUs and whose they are, its processes, and how work reaches both."""
