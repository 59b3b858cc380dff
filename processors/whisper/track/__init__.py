"""From the samples of one sound track to a transcript."""
