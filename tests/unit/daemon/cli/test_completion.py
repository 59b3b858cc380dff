"""Words that the shell completes."""

from datetime import date
from pathlib import Path

from daemon.cli import completion
from processors.statements.layouts.record import Bank, ColumnPlace, RememberedLayout
from processors.statements.layouts.store import LayoutStore


def test_remembered_layouts_are_completed_also_damaged_ones(tmp_path: Path):
    config = tmp_path / "config.toml"
    config.write_text("")
    assert completion.layouts(config) == []
    layout = RememberedLayout(
        name="kesk-pank",
        bank=Bank(name="Kesk Pank"),
        headings=(),
        columns=tuple(ColumnPlace(column=name, left=0.1, right=0.2) for name in ("date", "amount")),
        has_known_headings=False,
        balances_alone=True,
        learned=date(2026, 3, 1),
        used=date(2026, 3, 1),
    )
    store = LayoutStore(tmp_path / "state" / "layouts")
    store.change(lambda present: layout)
    (store.folder / "torn.json").write_text("{")
    assert completion.layouts(config) == [("kesk-pank", "Kesk Pank"), ("torn", "damaged")]
