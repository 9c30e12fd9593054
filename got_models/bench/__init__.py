"""Speed and memory of this library compared with the reference pipeline."""
