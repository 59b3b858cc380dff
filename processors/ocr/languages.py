"""The languages that need a model beyond the built-in one. Imported by the daemon: nothing heavy."""

LANGUAGES = {  # ISO 639-1: the model
    **dict.fromkeys(("ar", "fa", "ug", "ur"), "ocr-arabic"),
    **dict.fromkeys(("bg", "kk", "ky", "mk", "mn", "sr", "tg"), "ocr-cyrillic"),
    **dict.fromkeys(("hi", "mr", "ne", "sa"), "ocr-devanagari"),
    **dict.fromkeys(("be", "ru", "uk"), "ocr-east-slavic"),
    **{"el": "ocr-greek", "ko": "ocr-korean", "vi": "ocr-latin", "ta": "ocr-tamil", "te": "ocr-telugu"},
    "th": "ocr-thai",
}
