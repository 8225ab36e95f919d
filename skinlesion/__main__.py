"""`python -m skinlesion` is `skinlesion`."""

from skinlesion.cli import main

main()
