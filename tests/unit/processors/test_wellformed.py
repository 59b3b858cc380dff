import json

import pytest

from processors import wellformed

DOCUMENT = {"file": "a.pdf", "pages": [{"lines": [{"text": "é", "box": ((1.5, 2), (3, float("nan")))}], "notes": []}]}


@pytest.mark.parametrize("levels", [None, 0, 1, 4, 99])
def test_json_means_the_same_with_any_number_of_indented_levels(levels):
    found = json.loads(wellformed.dumps(DOCUMENT, indent=1, levels=levels))
    assert found == json.loads(wellformed.dumps(DOCUMENT))


def test_deeper_levels_are_on_one_line():
    assert wellformed.dumps(DOCUMENT, indent=1, levels=4).splitlines() == [
        "{",
        ' "file": "a.pdf",',
        ' "pages": [',
        "  {",
        '   "lines": [',
        '    {"text": "é", "box": [[1.5, 2], [3, null]]}',
        "   ],",
        '   "notes": []',
        "  }",
        " ]",
        "}",
    ]
