"""What people look at: TensorBoard's pages, tables and pictures."""
