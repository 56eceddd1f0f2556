"""What the training scripts share, one job a file. Importing the package imports nothing else."""
