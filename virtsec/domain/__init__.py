"""libvirt domains: their XML, their metadata, and the connection to the daemon.

From and to libvirt:

    connection  the edge: domains
    networks    the edge: networks
    faults      its errors as sentences
    records     what it says, as plain data
    steps       what changes its definitions, with the way back

A definition:

    document    read, with lxml made harmless
    metadata    what of it is virtsec's own
    described   what libvirt's own elements say
    elements    what may be in virtsec's own metadata
    xml         made from a spec and an identity
    adopt       of somebody else, made a container's
    rename      under another name
    checks      what a spec must keep to
    verdict     what the hook will think of it
    capability  which capabilities are left out
    limits      what a container may take, in libvirt's words and systemd's
    rlimits     those of what runs already

All of a host's:

    claims      what they have, so that a new one gets another
    idrange     ids that nobody has
    links       who may ask whom

Beside a container's tree:

    keep        files for the hook and the controller
    orders      what the controller does before it starts libvirt_lxc
    pristine    the copy of init that the hook puts back
"""
