"""Runs on disk: folder, settings, event files, checkpoints, exported models."""
