"""Planning: configuration, and what every result is made from; what Snakemake asks before a job runs. No torch."""
