"""Making a host ready for containers, and undoing that: the hook, the controller, the network."""
