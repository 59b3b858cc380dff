"""Fonts whose characters no text would have."""

import numpy as np
import pytest

from processors.pages.layer_visibility import Layer
from processors.pages.unlikely_text import find_unlikely_fonts

FONT = 7


def _found(text: str) -> set[str]:
    count = len(text)
    layer = Layer(list(text), np.zeros((count, 4)), [0] * count, [object()], [FONT], [0] * count)
    return find_unlikely_fonts(layer, frozenset()).get(FONT, set())


@pytest.mark.parametrize(
    ("text", "unlikely"),
    [
        ("«“√\xa0“√«‘™“°“√", "«“√‘™°"),  # Thai
        ("嘆囈貭鍔嘆囈貭鍔", "嘆囈貭鍔"),  # 中國文件
        ("´¿¢Ã°£¢ ¿ðº˜ ´’«¢¬", "¿¢Ã°£ðº˜«¬"),  # Tamil
        ("ǡǼǱǺ ǓǯǯǱǿǿ", "ǡǼǱǺǓǯǿ"),  # Open Access
        ("킜킰톁톈톂킰킱 킛킸톁톂", "킜킰톁톈톂킱킛킸"),  # Масштаб Лист
        ("÷èñëî ïðîïèñüþ è öèôðîé", "èñëîïðüþöô"),  # Cyrillic
    ],
)
def test_text_of_another_script_is_unlikely(text: str, unlikely: str):
    assert _found(text) >= set(unlikely)


@pytest.mark.parametrize(
    "text",
    [
        "Müller: «Größe», “so” – 5 × 3 ± 2 …",
        "•••••• ▪ ▪ ▪ ............ ———",
        "∑∈≤→ ≥ ± × √",
        "中國文件",
        "赁料は月額八万円契約書を締結する",
        "关于红军作战的原则",
        "계약서를 체결하는 임대인과 임차인",
        "大韓民國 계약서",
        "漏電遮断機構電流制限器等",
        "вывод числа прописью",
        "été à élève né",
        "Žluťoučký kůň úpěl ďábelské ódy",
        "đặt cọc ba tháng tiền thuê",
    ],
)
def test_ordinary_text_is_likely(text: str):
    assert _found(text) == set()


def test_skipped_characters_are_ignored():
    text = "嘆囈貭鍔"
    layer = Layer(list(text), np.zeros((4, 4)), [0] * 4, [object()], [FONT], [0] * 4)
    assert find_unlikely_fonts(layer, frozenset(range(4))) == {}
