"""What a run will take: a pilot on this machine, networks by the step, and what is missing."""
