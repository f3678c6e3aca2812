"""The label of packets that containers send, under either security module."""
