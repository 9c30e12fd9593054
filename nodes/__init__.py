"""The ComfyUI nodes: thin classes around the library, one file per family.

ComfyUI itself is only ever imported inside functions, in `_comfy/`, `_native/` and `_register.py`, and so are
torch and the other large libraries: importing the pack must not slow down the server's start, and every node
runs without ComfyUI.
"""
