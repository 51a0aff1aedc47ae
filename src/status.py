#!/usr/bin/env python3
from pagboost import cli
from pagboost.commands.status import main

if __name__ == "__main__":
    cli.run(main)
