"""The commands of ``python -m got_models``, one file each. Heavy libraries are imported in ``run``."""
