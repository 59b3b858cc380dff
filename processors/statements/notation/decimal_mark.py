"""The decimal mark of amounts."""

from typing import Literal

DecimalMark = Literal[".", ","]
