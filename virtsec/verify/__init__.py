"""Proof by attack: what root inside a container would try, tried, and the outcome shown.

    probe      what an attack is, and what it is given
    probes/    the attacks, by what they are after; the standard library only
    decoys     what is attacked on the host, and what tells there that an attack succeeded
    neighbour  the same in another container
    attacker   the process that attacks, confined as the container's init is
    proof      attack by attack: said inside, seen outside, and the verdict
    proven     which defences refuse an attack on their own, as seen in the laboratory
    report     a page for an auditor

Nothing of the host's is ever a target: an attack is aimed at decoys that are gone with the process
that made them, or is the question for permission alone.
"""
