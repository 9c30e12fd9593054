"""The stages that make the bundled model from nothing: sight, chains, VAE, UNet, then all of it together.

A stage owns its modules and says what one step's losses are; ``pretraining/trainer.py`` runs it. All
randomness of a step comes from the seed, the stage's name and the step's number, so that a resumed run
continues bit for bit.
"""
