"""Words as all other modules expect them, whatever a bank prints: changed before a document is read. Pure."""
