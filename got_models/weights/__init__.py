"""Checkpoint folders: validated, loaded, quantized, and modified by adapters."""
