"""What runs at a container's start: libvirt's hook and the controller in front of libvirt_lxc.

Both files are installed as they are, run without this package and import nothing of it. The package
imports only their tables.
"""
