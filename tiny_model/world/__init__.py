"""A small drawable world in which it can be measured how well a plan is followed."""
