"""Reasoning chains: sentences with boxes, what they mean, and how a person changes them. No tensors."""
