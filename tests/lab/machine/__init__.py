"""The laboratory: Debian 13 guests under plain emulation, one with SELinux, one with Smack.

Standard library only, for any Debian 12 or 13 host with Python 3.11 or later. How the parts fit:

``apt``, ``host``        where packages come from; what this host still lacks
``cache``                everything that takes long to make, kept by the hash of what went in
``containers``, ``guest``, ``kernel``   the things that are made: images and a Smack kernel
``wheel``, ``deb``, ``prepared``  virtsec as its users install it; a guest that has it set up
``qemu``, ``console``, ``boot``   one running guest, and how it is noticed that it died
``session``              what the commands of ``__main__`` do
``outside``, ``inside``  pytest's two halves, on this host and in the guest
"""
