"""The queue of jobs and their history: jobs.db, written by one thread, read by any number of programs."""
