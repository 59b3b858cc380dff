"""Assessment of answers: problems, repetition, confidence."""
