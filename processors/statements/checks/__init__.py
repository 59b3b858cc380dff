"""Whether what was read can be true. Adds flags and checks, and changes no value. Pure."""
