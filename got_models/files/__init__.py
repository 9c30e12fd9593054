"""Files and folders: bounded reading of foreign files, atomic writing of our own."""
