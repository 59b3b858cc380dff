"""One page: questions until there is a good answer, or no more to try."""
