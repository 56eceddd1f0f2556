"""What the training scripts share, one job per file. Importing the package imports nothing else."""
