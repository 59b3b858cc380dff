"""Cells as Excel shows them. The expected texts are those of Excel with English settings."""

import datetime

import pytest

from processors.text.number_format import show

DAY = datetime.datetime(2024, 3, 5, 13, 5, 9)


@pytest.mark.parametrize(
    ("value", "number_format", "shown"),
    [
        (0.125, "0%", "13%"),
        (0.125, "0.0%", "12.5%"),
        (1234.5, '#,##0.00 "€"', "1,234.50 €"),
        (1234.5, "[$€-407] #,##0.00", "€ 1,234.50"),
        (1234567.891, "#,##0", "1,234,568"),
        (-1234.5, "#,##0.00_);[Red](#,##0.00)", "(1,234.50)"),
        (-1234.5, "#,##0.00", "-1,234.50"),
        (-0.001, "0.00", "0.00"),
        (0, '0.00;-0.00;"-"', "-"),
        (12, "00000", "00012"),
        (2.5, "0", "3"),
        (0.5, "#.##", ".5"),
        (3.10, "0.0#", "3.1"),
        (5551234, "000-0000", "555-1234"),
        (1234567, "0.0,,", "1.2"),
        (123456.789, "0.00E+00", "1.23E+05"),
        (9.999e5, "0.0E+0", "1.0E+6"),
        (0.00012, "0.0E+0", "1.2E-4"),
        (1.25, "# ?/?", "1 1/4"),
        (0.3, "# ??/??", "3/10"),
        (5, ";;;", ""),
        (5, '"up";"down"', "up"),
        (-5, '"up";"down"', "down"),
        (150, '[>=100]"many";0', "many"),
        (50, '[>=100]"many";0', "50"),
        (1.5, "General", "1.5"),
        (0.1 + 0.2, "General", "0.3"),
        (3, 'General" pcs"', "3 pcs"),
        (float("1e20"), "General", "1e+20"),
        (True, "0", "TRUE"),
        ("x", "0.00", "x"),
        ("x", '@" kg"', "x kg"),
        ("secret", ";;;", ""),
        (None, "0", ""),
        (DAY, "dd.mm.yyyy", "05.03.2024"),
        (DAY, "d-mmm-yy", "5-Mar-24"),
        (DAY, "[$-407]d. mmmm yyyy", "5. März 2024"),
        (DAY, "dddd", "Tuesday"),
        (DAY, "yyyy-mm-dd hh:mm", "2024-03-05 13:05"),
        (DAY, "h:mm AM/PM", "1:05 PM"),
        (DAY, "mm:ss", "05:09"),
        (DAY, "mm-dd-yy", "2024-03-05 13:05:09"),
        (datetime.datetime(2024, 3, 5), "mm-dd-yy", "2024-03-05"),
        (datetime.date(2024, 3, 5), "mmm yyyy", "Mar 2024"),
        (datetime.time(7, 30), "hh:mm", "07:30"),
        (datetime.timedelta(hours=30, minutes=5), "[h]:mm", "30:05"),
        (datetime.timedelta(hours=30, minutes=5), "[h]:mm:ss", "30:05:00"),
        (datetime.time(0), "dd.mm.yyyy", "00:00:00"),
        (DAY, "0.00", "2024-03-05 13:05:09"),
        (float("nan"), "0.00", "nan"),
        (1.5, '0.00" \\"', "1.50 \\"),
        (1.5, "?", "2"),
    ],
)
def test_value_is_shown_as_in_excel(value: object, number_format: str, shown: str):
    assert show(value, number_format).strip() == shown
