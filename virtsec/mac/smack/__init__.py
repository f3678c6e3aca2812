"""Smack: a label of its own for each container, which is the container's name."""
