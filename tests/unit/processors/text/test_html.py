"""What a browser shows of a web page, and what it hides."""

import re
import time

import pytest

pytest.importorskip("selectolax", reason="the extra `documents` is not installed")

from processors.text.html import find_visible  # noqa: E402


def _shown(page: str) -> list[str]:
    return re.sub(r"<[^>]*>", " ", find_visible(page).html).split()


@pytest.mark.parametrize(
    ("page", "shown"),
    [
        ('<p style="DISPLAY : None !important">x</p>a', "a"),
        ('<p style="visibility: hidden">x</p>a', "a"),
        ('<p style="opacity:0">x</p><p style="opacity:0.5">b</p>a', "b a"),
        ('<p style="mso-hide:all">x</p>a', "a"),
        ("<style>.h{display:none}</style><p class=h>x</p>a", "a"),
        ("<style>/* .a */ p , #h > b { color: red; display: none }</style><div id=h>c<b>x</b></div>a", "c a"),
        ("<style>.h{display:none} .h.open{display:block}</style><p class='h open'>b</p><p class=h>x</p>a", "b a"),
        ("<style>.h{display:none}</style><p class=h style='display:block'>b</p>a", "b a"),
        ("<style>.h{display:none!important}</style><p class=h style='display:block'>x</p>a", "a"),
        ("<style>@media print{p{display:none}} @media (width<9em){b{display:none}}</style><p>p</p><b>b</b>", "p b"),
        ("<style>@media screen {p{display:none}}</style><p>x</p>a", "a"),
        ("<style media=print>p{display:none}</style><p>p</p>", "p"),
        ("<style>p:hover{display:none} p::before{display:none} p:::{display:none}</style><p>p</p>", "p"),
        ("<style>@import url(a.css); p{display:none}</style><p>x</p>a", "a"),
        ("<style>.h{display:none}</style><i class=h><b style=opacity:0>x</b></i><template><b class=h>x</b>", ""),
        ("<p hidden>x</p><dialog>x</dialog><dialog open>d</dialog><noscript>x</noscript><!-- x -->a", "d a"),
        ("<td style='font-size:0'><span style='font-size:14px'>a</span>", "a"),
        ("<form>a<label>b</label><fieldset><legend>c</legend></fieldset></form><nav>d</nav>", "a b c d"),
        ("<input type=hidden value=x><input value=a><input type=password value=x><input placeholder=b>", "a b"),
        ("<input type=checkbox checked>a<input type=radio>b<input type=submit value=c>", "[x] a [ ] b c"),
        ("<textarea>a</textarea><select><option>x<option selected>b</select>", "a b"),
        ("<select><option>a<option>x</select>", "a"),
        ("<svg><title>x</title><path/><text>a</text></svg><math alttext='E=m'><mi>x</mi></math>", "a E=m"),
        ("<iframe srcdoc='<p>a</p><p hidden>x</p>'></iframe>", "a"),
        ("<html><head><title>x</title></head><body style='display:none'>a</body></html>", "a"),
        ("<p aria-hidden=true>a</p><!--[if mso]>x<![endif]--><![if !mso]>b<![endif]>", "a b"),
        ("<style>[hidden]{display:block}</style><p hidden>a</p>", "a"),
        # text of no size
        ("<p style='font-size:0'>x</p>a", "a"),
        ("<p style='font-size:0px'>x<b>x</b><b style='font-size:1em'>x</b><b style='font-size:9px'>b</b>x</p>a", "b a"),
        ("<p style='font:0/0 a'>x</p><p style='font:bold 12px/1.2 Arial'>a</p><p style='FONT-SIZE:1px'>x</p>", "a"),
        ("<style>.t{font-size:0}.t td{font-size:1rem}</style><table class=t><caption>x<tr><td>a</table>", "a"),
        # a part of a hidden element may be visible
        ("<p style='visibility:hidden'>x<b style='visibility:visible'>b</b><input value=x><b>x</b></p>a", "b a"),
        # text in the color of its ground
        ("<p style='color:#fff'>x</p><p style='color:white;background:#000'>a</p>", "a"),
        ("<body bgcolor=black><font color='#000000'>x</font><font color=gray>a</font>", "a"),
        ("<body bgcolor=white text='#ffffff'>x<a href=b>a</a><a href=b style='color:rgb(255, 255, 255)'>x</a>", "a"),
        ("<table><tr><td bgcolor=navy><p style='color:#fff'>a</p><p style='color:#000080'>x</p>", "a"),
        ("<style>p{color:#fff}div{background-color:rgba(0,0,0,.9)}</style><p>x<div><p>a</div>", "a"),
        ("<i style='color:transparent'>x</i>a", "a"),
        ("<div style='background:url(night.jpg)'><p style='color:#fff'>a</p></div>", "a"),
        ("<table><td background=night.jpg><p style='color:#fff'>a</p>", "a"),
        ("<div style='background:var(--dark)'><p style='color:#fff'>a</p></div><p style='color:var(--c)'>b</p>", "a b"),
        ("<link rel=stylesheet href=a.css><p style='color:#fff'>a</p>", "a"),
        ("<img src=night.jpg><h1 style='position:absolute;color:#fff'>a</h1>", "a"),
        ("<p style='color:#fff;text-shadow:0 0 2px #000'>a</p><p style='color:#fff'><mark>b</mark></p>", "a b"),
        ("<p style='color:#fff'><button>a</button><input value=b><textarea>c</textarea></p>", "a b c"),
        # boxes of no size, and outside the window
        ("<div style='max-height:0px;overflow:hidden'>x</div><div style='max-height:0'>a</div>", "a"),
        ("<p style='height:0;overflow:hidden'>x</p><p style='width:1px;height:1px;overflow:clip'>x</p>a", "a"),
        ("<p style='position:absolute;left:-9999px'>x</p><p style='left:-9999px'>a</p>", "a"),
        ("<h1 style='text-indent:-9999px'>x</h1>a", "a"),
        ("<p style='position:absolute;clip:rect(0 0 0 0)'>x</p><p style='clip-path:inset(50%)'>x</p>a", "a"),
    ],
)  # fmt: skip
def test_only_what_a_browser_shows_is_left(page: str, shown: str):
    assert _shown(page) == shown.split()


def test_hidden_parts_and_frames_are_counted():
    found = find_visible("<style>p{display:none}</style><iframe src=a.html></iframe><p>one<p>two")
    assert found.hidden == ["one", "two"] and found.frames == 1


def test_each_hidden_part_is_reported_once():
    found = find_visible("<p style='color:#fff'>one <b>two</b> 3</p><p style='font-size:0'>four <img src=a.png></p>")
    assert found.hidden == ["one two 3", "four"] and found.pictures == 1


def test_deeply_nested_page_is_left_unchanged():
    page = "<div>" * 5000 + "x"
    assert find_visible(page).html == page and find_visible(page).is_too_deep
    assert not find_visible("<p>a" * 5000 + "<div></div>" * 5000).is_too_deep


def test_time_is_proportional_to_the_number_of_hidden_parts():
    started = time.process_time()
    assert len(find_visible('<p style="display:none">x' * 30_000).hidden) == 30_000
    assert time.process_time() - started < 5, "of CPU time; 20 if each is compared with all others"


@pytest.mark.parametrize(
    ("picture", "count"),
    [
        ('<img src="scan_files/page1.jpg">', 1),
        ('<img src="scan.png" width="800" height="1100">', 1),
        (f'<img src="data:image/png;base64,{"A" * 4000}">', 1),
        (f'<img src="data:image/png;base64,{"A" * 400}">', 0),
        ('<img src="beacon.gif" width="1" height="1">', 0),
        ("<img>", 0),
    ],
)
def test_pictures_that_may_have_text_are_counted(picture: str, count: int):
    assert find_visible(f"<p>Text</p>{picture}").pictures == count
