"""One training run: its graph, its loop, what is measured on the way."""
