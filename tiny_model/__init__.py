"""How the bundled model is trained and evaluated: a drawable world, training from scratch, evaluation."""
