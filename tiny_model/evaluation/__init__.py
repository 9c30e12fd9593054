"""How well plans and pictures obey, measured in the drawable world."""
