"""Speed and memory of this library against the published order of work."""
