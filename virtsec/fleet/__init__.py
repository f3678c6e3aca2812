"""Many containers from one file: what it says, what there is, and the way from one to the other."""
