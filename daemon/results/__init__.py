"""Reading the results in the outbox: their files, and the documents in them.

People edit results, so their content is not trusted.
"""
