"""Distillation: a LoRA learns to draw in few steps of one branch what its checkpoint draws under guidance."""
