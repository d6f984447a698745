"""The trainer: windows of hand landmarks in, a gesture model out. Imports neither Beam nor MediaPipe."""
