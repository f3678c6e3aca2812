"""What virtsec can do: a module for each group of commands, and `virtsec` names their functions.

Each function opens the host itself unless it is given one, raises the errors of `virtsec.errors`
and returns frozen data: here, or in `results`, where several commands return it.

    definition  define, also as plan and apply; undefine, label
    lifecycle   start, shutdown, reboot, destroy
    listing     list, info
    entering    exec, shell, cp, console, logs
    limiting    set: limits
    kinds       set: privileged or not
    reaching    set: egress, exposed ports
    linking     link, unlink, links
    copies      clone, rename, export, import
    adopting    adopt, release
    bases       base create, refresh, list, info, remove
    fleet       fleet plan, apply, destroy, diff, export, schema
    policies    policy show, diff
    suggesting  policy suggest
    verifying   verify
    auditing    audit
    doctoring   doctor
    preparing   setup, protect

What they share:

    host        the host: opened, and whether it is ready
    find        a container by its name
    facts       what planning must know of the host
    live        what runs in a container, seen from outside
    rollout     the work of `fleet apply`
    changing    what it changes of containers that are there
    results     what several of them return, and all of it as JSON
"""
