"""Checkpoint folders: checked, loaded, quantized, and changed by adapters."""
