"""What every other package builds on: the job, messages, errors, durable file operations, the journal."""
