"""The stages that train the bundled model from scratch: vision, chains, VAE, UNet, then all together.

A stage owns its modules and computes one step's losses; ``pretraining/trainer.py`` runs it. All randomness
of a step comes from the seed, the stage's name and the step's number, so that a resumed run is
bit-identical.
"""
