"""Event files and runs, read without TensorFlow, and what plot_losses.py draws of them."""
