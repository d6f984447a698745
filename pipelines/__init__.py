"""What you run: one Beam pipeline a module, and the `handstream` command."""
