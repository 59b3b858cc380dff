"""Numbers, dates and sizes in the format of the browser's language. The words of the console are English."""

import functools
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

from babel import Locale, UnknownLocaleError, dates, numbers

_DEFAULT = "en_GB"
_MOST_TAGS = 10  # of a header
_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_MOST_DIGITS = 30  # of an amount of money: people edit results, and 1E+999999 has a million


def locale_of(accept_language: str) -> str:
    """The first language of an Accept-Language header that Babel knows; British English if it knows none."""
    for part in accept_language[:500].split(",")[:_MOST_TAGS]:
        if found := _known(part.partition(";")[0].strip()):
            return found
    return _DEFAULT


@functools.lru_cache(maxsize=64)
def _known(tag: str) -> str | None:
    try:
        return str(Locale.parse(tag, sep="-"))
    except (ValueError, TypeError, UnknownLocaleError):
        return None


class Formats:
    """The formats of one locale, and of the time zone of this machine."""

    def __init__(self, locale: str, *, now: datetime | None = None):
        self.locale = Locale.parse(locale)
        self.language = str(self.locale).replace("_", "-")
        self.now = (now or datetime.now(UTC)).astimezone()

    def number(self, value: float) -> str:
        return numbers.format_decimal(value, locale=self.locale)

    def amount(self, value: str | None) -> str:
        """An amount of money with the decimals that it has; "" for none."""
        return self._amount(value, "#,##0.{}")

    def signed(self, debit: str | None, credit: str | None) -> str:
        """A debit or credit as one signed amount: −845.00 or +300.00."""
        if debit is None and credit is None:
            return ""
        added, taken = amount_of(credit or "0"), amount_of(debit or "0")
        if added is None or taken is None:
            return ""
        return self._amount(str(added - taken), "+#,##0.{0};\u2212#,##0.{0}")

    def _amount(self, value: str | None, pattern: str) -> str:
        amount = amount_of(value)
        if amount is None:
            return ""
        exponent = amount.as_tuple().exponent
        decimals = max(0, -exponent) if isinstance(exponent, int) else 0
        shape = pattern.format("0" * decimals) if decimals else pattern.replace(".{0}", "").replace(".{}", "")
        return numbers.format_decimal(amount, format=shape, locale=self.locale, decimal_quantization=False)

    def size(self, size_bytes: float) -> str:
        """A size, such as 312 kB."""
        unit = 0
        while size_bytes >= 1000 and unit < len(_UNITS) - 1:
            size_bytes, unit = size_bytes / 1000, unit + 1
        shape = "#,##0.0" if unit > 1 and size_bytes < 100 else "#,##0"
        return f"{numbers.format_decimal(size_bytes, format=shape, locale=self.locale)} {_UNITS[unit]}"

    def clock(self, iso: str | None, *, seconds: bool = False) -> str:
        """The time of day."""
        at = _parse(iso)
        shape = "HH:mm:ss" if seconds else "HH:mm"
        if at is None:
            return ""
        if self.locale.time_formats["short"].pattern.find("h") >= 0:  # a language with am and pm
            shape = "h:mm:ss a" if seconds else "h:mm a"
        return dates.format_time(at, shape, tzinfo=self.now.tzinfo, locale=self.locale)

    def moment(self, iso: str | None) -> str:
        """The time of day, with the date if that is not today."""
        at = _parse(iso)
        if at is None:
            return ""
        local = at.astimezone(self.now.tzinfo)
        if local.date() == self.now.date():
            return self.clock(iso)
        return f"{self.day(local.date().isoformat())}, {self.clock(iso)}"

    def day(self, text: str | None) -> str:
        """A date without its year if that is this year."""
        try:
            day = date.fromisoformat(text or "")
        except ValueError:
            return text or ""
        skeleton = "MMMd" if day.year == self.now.year else "yMMMd"
        return dates.format_skeleton(skeleton, day, locale=self.locale)

    def row_date(self, text: str | None) -> str:
        """A date in a table of a single document."""
        try:
            return dates.format_date(date.fromisoformat(text or ""), "short", locale=self.locale)
        except ValueError:
            return text or ""

    def heading(self, iso: str) -> str:
        """Today, Yesterday, or the date."""
        at = _parse(iso)
        if at is None:
            return ""
        day = at.astimezone(self.now.tzinfo).date()
        ago = (self.now.date() - day).days
        return {0: "Today", 1: "Yesterday"}.get(ago) or self.day(day.isoformat())

    def took(self, seconds: float | None) -> str:
        """A duration as minutes and seconds."""
        return "" if seconds is None else clock_of(seconds)

    def language_name(self, code: str) -> str:
        """The name of a language, in English; the code itself if it has none."""
        return str(Locale("en").languages.get(code, code))

    def percent(self, share: float) -> str:
        """A share between 0 and 1, in whole percent."""
        return _percent(round(share, 2), str(self.locale))


@functools.lru_cache(maxsize=1024)  # a transcript has a share for each word
def _percent(share: float, locale: str) -> str:
    return numbers.format_percent(share, locale=Locale.parse(locale))


def amount_of(text: str | None) -> Decimal | None:
    """The amount of money in `text`; None: there is none, or it has too many digits."""
    try:
        amount = Decimal(text) if text is not None and len(text) <= 2 * _MOST_DIGITS else None
    except InvalidOperation:
        return None
    is_sane = amount is not None and amount.is_finite() and abs(amount.adjusted()) <= _MOST_DIGITS
    return amount if is_sane else None


def clock_of(seconds: float) -> str:
    """A position in a recording, or a duration, as minutes and seconds: 8:20, 1:02:03."""
    whole = max(0, int(seconds))
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _parse(iso: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(iso) if iso else None
    except ValueError:
        return None
