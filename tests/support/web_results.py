"""Results of each kind in a place whose daemon runs, as its recipes would have made them: the console shows them."""

import hashlib
import json
import wave
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from sandbox import Place
from web_process import WebProcess

RESULTS = ("statement", "transcript", "text", "receipt", "invoice", "failed")

_ROWS = [
    {"page": 1, "date": "2024-05-01", "description": "Standing order", "debit": "845.00", "balance": "1059.18"},
    {"page": 1, "date": "2024-05-03", "description": "Card Pike Lone", "debit": "10.38", "balance": "1048.80"},
    {"page": 1, "date": "2024-05-06", "description": "Transfer", "credit": "300.00", "balance": "1348.80"},
]


def _statement() -> dict[str, Any]:
    rows = [{**row, "flags": [], "box": [0.1, 0.2 + 0.1 * at, 0.9, 0.26 + 0.1 * at]} for at, row in enumerate(_ROWS)]
    rows[1]["flags"] = ["low confidence (0.61)"]
    check = {"name": "balances", "passed": True, "text": "all 3 printed balances follow from the amounts"}
    account = {"account": "00012345", "currency": "GBP", "opening": "1904.18", "closing": "1348.80", "rows": rows}
    return {"statements": [{**account, "checks": [check]}], "unread": [], "notes": []}


def _transcript() -> dict[str, Any]:
    segments = [
        {"start": 0.0, "end": 2.0, "text": " Thanks for making the time."},
        {
            "start": 2.0,
            "end": 4.0,
            "text": "",
            "words": [{"word": " Gudenburg", "start": 2.0, "end": 4.0, "probability": 0.3}],
        },
    ]
    return {"segments": segments, "language": "en", "seconds": 5.0, "gaps": [{"start": 4.2, "end": 4.9}]}


def _text() -> dict[str, Any]:
    piece = {"text": "CORNER LARDER", "confidence": 0.6, "box": [[60, 80], [300, 80], [300, 120], [60, 120]]}
    lines = [{"text": "CORNER LARDER", "pieces": [piece]}, {"text": "Thank you", "pieces": []}]
    return {"pages": [{"number": 1, "width": 400, "height": 560, "turned": 0, "lines": lines}]}


def _receipt() -> dict[str, Any]:
    items = [
        {"page": 1, "description": "Sourdough loaf", "price": "3.40"},
        {"page": 1, "description": "Oat milk", "price": "4.70"},
    ]
    facts = {"shop": "Corner Larder", "date": "2024-06-08", "currency": "GBP", "total": "7.50", "tax": "0.62"}
    reasons = [
        "the items add up to 8.10, but the total is 7.50",
        "no other figure confirms the tax of 0.62",
    ]
    return {**facts, "items": items, "confirmed_by": ["the payment"], "reasons": reasons}


def _invoice() -> dict[str, Any]:
    lines = [
        {"page": 1, "description": "Repair", "quantity": "2", "unit_price": "30.00", "amount": "60.00"},
        {"page": 1, "description": "Parts", "amount": "40.00"},
    ]
    sums = {"net": "100.00", "tax": "19.00", "gross": "119.00", "currency": "EUR"}
    confirmed = {
        "net": "the lines",
        "lines": "they add up to net",
        "tax": "net + tax = gross",
        "gross": "net + tax = gross",
    }
    facts = {"supplier": "Workshop", "number": "", "date": "2024-05-31", "due_date": "2024-06-30"}
    return {**facts, **sums, "lines": lines, "confirmed_by": confirmed, "reasons": ["no number was found"]}


_DOCUMENTS = {
    "statement": _statement,
    "transcript": _transcript,
    "text": _text,
    "receipt": _receipt,
    "invoice": _invoice,
}


def _picture(path: Path) -> None:
    image = Image.new("RGB", (400, 560), "white")
    draw = ImageDraw.Draw(image)
    for line in range(3):
        draw.text((40, 120 + 56 * line), f"row {line + 1}", fill="black")
    image.save(path, "PNG")


def _sound(path: Path) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\0\0" * 8000 * 5)


def _facts_of(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"name": path.name, "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def add_results(place: Place, web: WebProcess) -> dict[str, str]:
    """Process a text file for each kind, and put a result of that kind in the place of its own; return the paths."""
    paths = {}
    for kind in RESULTS[:-1]:
        job = web.upload(f"{kind}.txt", f"some text for {kind}", wait=60)
        folder = place.outbox / job["result_path"]
        paths[kind] = f"/jobs/{job['id']}"
        (folder / f"{kind}.json").write_text(json.dumps(_DOCUMENTS[kind]()))
        (folder / f"{kind}.csv").write_text("a,b\n")
        facts = json.loads((folder / "result.json").read_text())
        (_sound if kind == "transcript" else _picture)(folder / facts["original"]["path"])
        facts["files"] = [_facts_of(folder / f"{kind}.{suffix}") for suffix in ("json", "csv")]
        (folder / "result.json").write_text(json.dumps(facts))
    failed = web.upload("failed.pdf", b"%PDF-1.4 broken", wait=60)
    paths["failed"] = f"/jobs/{failed['id']}"
    _describe(place)
    return paths


def _describe(place: Place) -> None:
    """Correct the kinds of the jobs, and give two of them a review."""
    import sqlite3

    with sqlite3.connect(place.state / "jobs.db", timeout=30) as log:
        log.execute("UPDATE jobs SET kind = 'image', media_type = 'image/png', pages = 1 WHERE name LIKE '%.txt'")
        log.execute(
            "UPDATE jobs SET kind = 'audio', media_type = 'audio/wav', media_seconds = 5 WHERE name LIKE 'transcript%'"
        )
        reasons = json.dumps(["1 row is flagged, on page 1"])
        log.execute("UPDATE jobs SET review = ? WHERE name LIKE 'statement%' OR name LIKE 'transcript%'", (reasons,))
    log.close()
