"""How the bundled model is made and measured: a drawable world, the training from nothing, the evaluation."""
