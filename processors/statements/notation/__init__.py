"""How money, dates and names are printed: values from text, and the words that announce them. Pure."""
