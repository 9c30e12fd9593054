"""A GoT checkpoint in ComfyUI's own classes. All of it needs ComfyUI: it is imported when a node runs."""
