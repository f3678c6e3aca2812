"""Running commands inside a container, confined as its init is.

`virtsec.runtime.door` is what goes in; here is the side that stays out: it opens the door, passes
on what is read and written, and says how the command ended.
"""
