"""From the words of a page to the raw rows and values around them, as printed. Pure."""
