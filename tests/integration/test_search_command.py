"""`inboxd search`, and the index beside a daemon that works and removes."""

import json
import sqlite3

from fake_clock import Clock
from sandbox import Place, wait_for


def found(place: Place, *words: str, code: int = 0) -> list[str]:
    return [each["file"] for each in json.loads(place.inboxd("search", "--json", *words, check=code).stdout)]


def test_words_of_results_are_found_and_shown(make_place):
    place = make_place(Place.TEXT)
    place.drop("bank/letter.txt", "Die Straße nach Köln\nand a second line")
    place.drop("other.txt", "something else")
    place.drain()
    assert found(place, "strasse", "koln") == ["bank/letter.txt"]
    assert found(place, '"nach Köln"') == found(place, "nach Köln", "straße") == ["bank/letter.txt"]
    assert found(place, "Köln nach", code=1) == []
    assert found(place, "some*") == ["other.txt"]
    assert found(place, "absent", code=1) == []
    shown = place.inboxd("search", "second").stdout
    assert "bank/letter.txt" in shown
    assert "and a second line" in shown
    refused = place.inboxd("search", "!!", check=64)
    assert "no words" in refused.stderr


def test_rebuild_reads_the_outbox_again(make_place):
    place = make_place(Place.TEXT)
    place.drop("letter.txt", "before")
    place.drain()
    assert found(place, "before") == ["letter.txt"]
    (output,) = place.outbox.glob("letter/*.txt")
    output.write_text("afterwards")
    place.inboxd("search", "--rebuild")
    assert found(place, "afterwards") == ["letter.txt"]


def test_text_that_retention_removed_leaves_the_index_at_night(make_place, tmp_path):
    place = make_place(Place.TEXT + '[retention]\nresults = "1ms"\n')
    place.drop("secret.txt", "zanzibarxyz")
    place.drain()
    assert found(place, "zanzibarxyz") == ["secret.txt"]
    clock = Clock(tmp_path)
    clock.set_time("12:00")
    place.start(TZ="UTC", **clock.environment)
    clock.set_time("03:31", days=1)
    place.inboxd("status")
    index = place.state / "search.db"

    def is_gone() -> bool:
        connection = sqlite3.connect(index, timeout=30)
        try:
            return connection.execute("SELECT count(*) FROM passages").fetchone() == (0,)
        finally:
            connection.close()

    wait_for(is_gone, "the sweep of the index")
    wait_for(lambda: b"zanzibarxyz" not in index.read_bytes(), "the purge of the index")
    assert found(place, "zanzibarxyz", code=1) == []
