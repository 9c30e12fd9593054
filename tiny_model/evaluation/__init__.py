"""How well plans and pictures follow prompts, measured in the drawable world."""
