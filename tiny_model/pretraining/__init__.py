"""The bundled model from nothing: data, stages and their trainer."""
