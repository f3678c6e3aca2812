"""What runs at a container's start: libvirt's hook and the controller in front of libvirt_lxc.

`hook` and `controller` are programs, installed as they are with the modules named here. They run
without this package and import nothing of it; the package imports their tables and judgement.
"""

_SHARED = ("refusal", "system")
HOOK_MODULES = (
    *("judgement", "domain", "start", "checks", "disk", "rules", "init", "inotify"),
    *_SHARED,
)
CONTROLLER_MODULES = ("confine", "view", "seccomp", *_SHARED)
