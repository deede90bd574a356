"""Other people's generators behind the protocol of :mod:`harness.generator`."""
