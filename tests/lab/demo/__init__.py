"""Containers that serve, and what an attacker inside them reaches: for the demo and the tests."""
