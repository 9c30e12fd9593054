"""Importing GoT-6B as published (training layout, pickled) as one checkpoint folder of safetensors."""
