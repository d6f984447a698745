"""What the pipelines are made of: a PTransform and the pure function under it, a module a step."""
