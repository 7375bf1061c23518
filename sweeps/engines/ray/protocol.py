"""What a run, the host of its own Ray, and Ray's head tell each other through their pipes."""

#: The run to its host: no worker is left that is worth waiting for.
AT_ONCE = "at once\n"
#: How long the host takes to end, at most, where nothing is waited for.
END_SECONDS = 2.0
#: The head to the run: what begins the line that tells where Ray is, or why it does not start.
TOLD = "ray: "
