"""The style of CSV files: separator, decimal mark and byte order mark, as options of a recipe.

The daemon imports this to validate config.toml; Babel is imported only where a locale is set.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from processors.contract import RecipeOptions
from processors.statements.notation.decimal_mark import DecimalMark

Separator = Literal[",", ";", "\t", "|"]

# Windows' list separator, by which Excel reads CSV, is ";" where the decimal mark is ",", and in these territories
_SEMICOLON_DESPITE_POINT = ("CH", "LI")


@dataclass(frozen=True, kw_only=True)
class CsvStyle:
    """Dates are always in ISO 8601, which every spreadsheet reads, and amounts have no grouping."""

    separator: Separator = ","
    decimal: DecimalMark = "."
    bom: bool = False  # a byte order mark, without which Excel does not recognize UTF-8


DEFAULT_STYLE = CsvStyle()


def style_of_locale(name: str) -> CsvStyle:
    """The separator and decimal mark that a spreadsheet expects in this locale, according to CLDR.

    Raises:
        ValueError: there is no such locale.
    """
    from babel import Locale, UnknownLocaleError
    from babel.numbers import get_decimal_symbol

    try:
        locale = Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError):
        raise ValueError('must be a language and a country, such as "de_DE"') from None
    decimal: DecimalMark = "," if get_decimal_symbol(locale, numbering_system="latn") == "," else "."
    needs_semicolon = decimal == "," or locale.territory in _SEMICOLON_DESPITE_POINT
    return CsvStyle(separator=";" if needs_semicolon else ",", decimal=decimal)


def _check_locale(name: str) -> str:
    style_of_locale(name)
    return name


class CsvOptions(RecipeOptions):
    """The options of recipes that write CSV."""

    csv_locale: Annotated[str, AfterValidator(_check_locale)] | None = None  # such as "de_DE": sets the next two
    csv_separator: Separator | None = None  # None: that of `csv_locale`, else ";" with a decimal comma, else ","
    csv_decimal: DecimalMark | None = None  # None: that of `csv_locale`, else "."
    csv_bom: bool = False  # begin with a byte order mark, for Excel

    @model_validator(mode="after")
    def _check_marks(self) -> Self:
        if self.csv_style.separator == self.csv_style.decimal:
            raise ValueError('the separator and the decimal mark are both ",": set csv_separator = ";"')
        return self

    @property
    def csv_style(self) -> CsvStyle:
        usual = style_of_locale(self.csv_locale) if self.csv_locale else DEFAULT_STYLE
        decimal = self.csv_decimal or usual.decimal
        follows = ";" if decimal == "," else usual.separator
        return CsvStyle(separator=self.csv_separator or follows, decimal=decimal, bom=self.csv_bom)
