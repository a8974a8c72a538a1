"""`python -m tune_distill`."""

from tune_distill.cli import main

main()
