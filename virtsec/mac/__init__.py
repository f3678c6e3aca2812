"""Mandatory access control: one protocol, implemented by `selinux` and by `smack`."""
