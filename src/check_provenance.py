#!/usr/bin/env python3
from pagboost import cli
from pagboost.commands.check_provenance import main

if __name__ == "__main__":
    cli.run(main)
