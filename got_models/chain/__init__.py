"""Reasoning chains: sentences with boxes, what they mean, and how people edit them. No tensors."""
