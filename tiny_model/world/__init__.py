"""A small drawable world in which obedience to a plan can be measured."""
