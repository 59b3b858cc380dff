"""Corrections by people: applied to a document as it was read, checked again, and written as files beside the result.

Every correction applies to the document as it was read, so that its numbers of rows, lines and segments never change.
"""
