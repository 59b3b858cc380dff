"""Words as the index compares them."""

import pytest

from daemon.search.folding import fold, tokens


@pytest.mark.parametrize(
    ("word", "folded"),
    [
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("Müller", "muller"),
        ("Mu\u0308ller", "muller"),
        ("Søren", "soren"),
        ("Łódź", "lodz"),
        ("ﬁne", "fine"),
        ("İstanbul", "istanbul"),
        ("Ἀθήνα", "αθηνα"),
        ("naïve", "naive"),
    ],
)
def test_words_that_people_type_differently_fold_alike(word: str, folded: str):
    assert fold(word) == folded


def test_tokens_know_their_place():
    text = "Zu\u0308rich, 1'234.50 (n°7)"
    assert [(text[each.start : each.end], each.folded) for each in tokens(text)] == [
        ("Zu\u0308rich", "zurich"),
        ("1", "1"),
        ("234", "234"),
        ("50", "50"),
        ("n", "n"),
        ("7", "7"),
    ]


def test_ideographs_are_tokens_of_their_own():
    assert [each.folded for each in tokens("東京2024年 한국어")][:4] == ["東", "京", "2024", "年"]
