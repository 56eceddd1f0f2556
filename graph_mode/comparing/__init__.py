"""What compare.py is made of: grids of runs, the processes that train them, the report."""
