"""virt-manager on this machine's own screen, with a guest's containers: `make screenshot`."""
