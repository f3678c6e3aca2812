"""What each container may reach, by the policy alone, without running anything in it."""
