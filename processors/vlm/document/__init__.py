"""One job: batches the pages of its document, merges and verifies the answers, and writes the result files."""
