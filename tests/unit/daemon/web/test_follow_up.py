"""The prompt of a further question contains the earlier questions and answers."""

from daemon.web.pages.follow_up import _MAX_PROMPT_BYTES, prompt_for


def test_first_question_is_the_prompt():
    assert prompt_for("Why?", "", "some text") == "Why?"


def test_earlier_questions_and_answers_are_in_order():
    second = prompt_for("How long?", "What is it?", "A line.\n")
    third = prompt_for("Why?", second, "Two inches.")
    assert third == (
        "Earlier, about the same document:\n\n"
        "The question was:\nWhat is it?\n\nThe answer was:\nA line.\n\n"
        "The question was:\nHow long?\n\nThe answer was:\nTwo inches.\n\n"
        "Answer this question now:\nWhy?"
    )


def test_long_conversation_keeps_its_end_and_fits_a_prompt():
    prompt = "What is it?"
    for number in range(50):
        prompt = prompt_for(f"Question {number}: " + "ä" * 500, prompt, "ö" * 3000)
    assert len(prompt.encode()) <= _MAX_PROMPT_BYTES
    assert "Question 49" in prompt and "What is it?" not in prompt
