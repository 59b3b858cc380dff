"""The steps that follow a job's first result: recipes that `then` of its recipe names, such as a summary.

Each step processes the text of the first result as a text file of its own, in a child process of the worker: however
it fails, the first result is not lost. Results are saved until the job ends, so that a retry repeats only what failed.

    runner   runs the steps of jobs in a thread, while the worker goes on with other jobs
    combine  the outcome of the job, from the first result and those of its steps. Pure
    child    the process of a step's processor
    saved    finished results, on disk
"""
