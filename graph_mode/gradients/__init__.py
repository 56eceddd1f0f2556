"""The backward pass by hand, and its check against other sources."""
