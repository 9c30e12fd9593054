"""Training the bundled model from scratch: data, stages and their trainer."""
