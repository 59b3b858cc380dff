"""The layouts of earlier statements: recognized by their bank and heading row, and remembered in a folder.

`recall` reads a document with them, `match` finds those that fit, `learn` describes a new one; `record` is one layout,
and `store` the folder. The document's own balances always take precedence over a layout.
"""
