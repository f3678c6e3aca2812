"""Root file systems: where they come from, how they are unpacked, shifted, labelled and removed."""
