"""From raw rows to statements: notation, years, signs and balances, decided by the whole document. Pure."""
