"""libvirt domains: their XML, their metadata, and the connection to the daemon."""
