"""From what was asked for to a list of steps: pure, so that anybody may look before it is done."""
