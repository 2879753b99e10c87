"""One file per verb. `sandgrain` offers them by name; the command line calls nothing else."""
