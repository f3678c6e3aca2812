"""Proof by attack: what root inside a container would try, tried, and the outcome shown.

    probe     what an attack is, and what it is given
    probes/   the attacks, by what they are after; the standard library only
    proof     attack by attack: said inside, seen outside, and the verdict
    actor     the process that attacks, or is attacked, confined as a container's init is
    bait      what is attacked besides files, in that process
    tree      files to attack
    disk      what they lie on
    proven    which defences refuse an attack on their own, as seen in the laboratory
    verified  all of that together
    report    a page for an auditor

Nothing of the host's is ever a target: an attack is aimed at decoys that are gone with the process
that made them, or is the question for permission alone.
"""
