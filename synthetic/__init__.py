"""Rendered hands with known 3D: clips for the demo, for tests that need the truth, and to measure the detector with."""
