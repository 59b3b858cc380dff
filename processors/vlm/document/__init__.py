"""One job: the pages of its document batched, merged, verified, reviewed and written."""
