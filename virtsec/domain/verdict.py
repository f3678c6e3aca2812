"""What the hook will think of a definition, asked before anybody starts it.

The judgement is the hook's own code: planner, `info` and hook never disagree. What only a start can
tell (the files on disk, whether the security module runs) is left to the start.
"""

from __future__ import annotations

from virtsec.runtime import judgement


def differences(name: str, xml: str) -> tuple[str, ...]:
    """Why the hook would refuse to start `xml`; a sentence each, or none; pure."""
    try:
        domain = judgement.parse(xml.encode())
        metadata = judgement.metadata_of(domain)
        if metadata is None:
            return ()
        start = judgement.Start(name, domain, metadata)
    except judgement.Refused as refusal:
        return (_sentence(refusal),)
    except ValueError as error:
        return (f"virtsec's metadata of {name} makes no sense: {error}.",)
    found = []
    for check in judgement.CHECKS:
        if check is judgement.check_module:
            continue
        try:
            check(start)
        except judgement.Refused as refusal:
            found.append(_sentence(refusal))
    return tuple(found)


def _sentence(refusal: judgement.Refused) -> str:
    text = str(refusal)
    return f"{text[:1].upper()}{text[1:]}."
