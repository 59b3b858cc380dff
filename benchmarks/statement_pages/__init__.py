"""Invented bank statements with known contents: many layouts, fonts and locales, as clean PDF or as scans."""
