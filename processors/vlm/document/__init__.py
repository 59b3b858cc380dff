"""One job: all pages of a document, merged, reviewed and written."""
