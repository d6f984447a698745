"""The contract between extraction and training: what a window is on disk."""
