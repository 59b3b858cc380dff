"""Invented bank statements whose truth is known: many layouts, fonts and locales, as clean PDF or as scans."""
