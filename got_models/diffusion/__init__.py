"""Guidance from chain, boxes and picture, and the denoising loop that uses it."""
