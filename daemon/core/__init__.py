"""The basis of every other package: the job, messages, errors, durable file operations, the journal."""
