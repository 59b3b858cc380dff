"""Answers eight pages with ever less memory, truly limited (setrlimit(2)), until fewer are asked at once. Prints how
many were, and whether all answers are those of a process with plenty."""

import resource
from pathlib import Path

from paths import TESTS
from PIL import Image

from processors.contract import Progress
from processors.vlm import VlmOptions
from processors.vlm.engine.local import TransformersEngine
from processors.vlm.types import PageRequest

DATA = TESTS / "data"
PROMPT = "Extract the bank statement transactions as JSON."


def main() -> None:
    tiny = DATA / "tiny-vlm"
    engine = TransformersEngine.load(
        VlmOptions(model=str(tiny), device="cpu", threads=1), tiny.parent, Progress(lambda message: None)
    )
    picture = Image.open(DATA / "drawings" / "statement-four.png").convert("RGB")
    questions = [PageRequest(image=picture, prompt=PROMPT, token_limit=40)] * 8
    right = engine.answer(questions[:1], no_sign)[0].text
    status = Path("/proc/self/status").read_text().splitlines()
    used_bytes = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmSize"))
    _, hard_limit = resource.getrlimit(resource.RLIMIT_AS)
    all_right = True
    for left_megabytes in range(48, 0, -6):
        resource.setrlimit(resource.RLIMIT_AS, (used_bytes + left_megabytes * 2**20, hard_limit))
        all_right &= all(answer.text == right for answer in engine.answer(questions, no_sign))
        if engine.fewest_at_once < len(questions):
            break
    print(engine.fewest_at_once, all_right)


def no_sign() -> None:
    pass


if __name__ == "__main__":
    main()
