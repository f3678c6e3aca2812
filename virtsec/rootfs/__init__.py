"""Root file systems: where they come from, and how they are made, owned, changed and removed.

What others call:

    steps       make, keep, move and remove a tree, or that of a base
    owners      give a tree owners and labels, or take them back
    layers      a tree in two layers: a base, and what the container has of its own
    follow      move the upper one to another generation of its base
    renew       what a copy may not have in common with the first: its name, its machine-id
    sources     what a tree is to be made from, looked at before
    export      a container as one archive
    journal     what a container's journal says
    mapped      directories of the host that are seen with the host's ids
    bases       where bases are

From a source to a tree:

    archive     which kind of archive it is, and what is in it
    members     that judged before anything is unpacked
    feed        where an archive's bytes come from, and the program behind them
    confined    tar run where it can do no harm
    unpack      from a feed into a tree, and back
    debian      a Debian system, by mmdebstrap
    fill        a new tree made beside its place
    unfinished  which trees are being made, and are nobody's yet

Each inode of a tree:

    walk        every directory, by descriptors
    survey      what would have to change
    change      and changing it
    shift       which ids it has and is to have
    note        which labels it had
    label       all three together: a whole tree shifted and labelled
    carry       what a container changed of one base, done to another
    remove      nothing left

    trouble     the kernel's errors as sentences
    trust       whether the way to a path is root's alone
"""
