"""What runs at a container's start, and what goes into one that runs.

At the start libvirt runs `hook`, and `controller` in front of libvirt_lxc: programs, installed as
they are with the modules named here. They run without this package and import nothing of it; the
package imports their tables, and their verdict on a definition. What goes in later is `door`, which
is not installed.
"""

#: Whether a definition may start: looks at the XML alone, and is what planner and doctor ask too.
VERDICT_MODULES = ("refusal", "domain", "start", "checks")
HOOK_MODULES = ("judgement", *VERDICT_MODULES, "disk", "rules", "init", "inotify", "system")
CONTROLLER_MODULES = ("confine", "view", "ethernet", "seccomp", "refusal", "system")
