"""What must be true of a host and of each container, and how to make it true again."""
