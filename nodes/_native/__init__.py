"""A GoT checkpoint in ComfyUI's own classes. Requires ComfyUI, so it is imported when a node runs."""
