"""`python -m sandgrain`: the command line."""

from sandgrain.cli import main

main()
