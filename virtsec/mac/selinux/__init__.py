"""SELinux: a type of its own and a pair of categories of its own for each container."""
