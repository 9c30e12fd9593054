"""GoT-6B as published, in training's layout and in pickles, becomes one checkpoint folder of safetensors."""
