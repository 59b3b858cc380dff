"""Extraction by a JSON Schema: the schema, and JSON whose amounts stay exact."""
