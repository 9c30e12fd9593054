"""Files and folders: what others made read with bounds, what we make written whole or not at all."""
