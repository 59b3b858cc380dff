"""Synthesize the Japanese recordings of this folder: `python make.py`; requires pyopenjtalk-plus and PyAV.

No package contains recordings of Japanese speech with a free license. Synthesized speech is easier to understand than
a person's: use it to compare modes of transcription, not languages.
"""

import csv
from pathlib import Path

import av
import numpy as np
import pyopenjtalk

FOLDER = Path(__file__).parent
BITS_PER_SECOND = 24_000
TELEPHONE_HZ = 8_000
SOURCE = "Open JTalk, voice Mei (Nagoya Institute of Technology); text of this project"
# text, speed, noise (standard deviation, of full scale 1), through a telephone?
SPOKEN = {
    "ja-meeting.opus": (
        "昨日の会議では、来年の予算について話し合いました。まず、田中さんが売り上げの報告をしました。次に、新しい事務所の場所を決めました。"
        "駅から近いので、とても便利です。最後に、来週の金曜日までに見積もりを送ることになりました。",
        1.0,
        0.0,
        False,
    ),
    "ja-telephone.opus": (
        "もしもし、山田と申します。先週お願いした荷物がまだ届いていません。注文したのは九月の三日で、配達は五日の予定でした。"
        "住所は大阪市北区です。お手数ですが、今日中に調べて、折り返し電話をください。よろしくお願いします。",
        1.15,
        0.01,
        True,
    ),
    "ja-lecture.opus": (
        "今日は、雨がどうして降るのかを考えてみましょう。海や川の水は、太陽の熱で温められると、目に見えない水蒸気になって空へ上がっていきます。"
        "空の高いところは気温が低いので、水蒸気は冷やされて小さな水の粒になります。この粒がたくさん集まったものが雲です。"
        "雲の中で粒どうしがぶつかって大きくなると、重くなって落ちてきます。これが雨です。冬になると、同じ粒が凍って雪になります。"
        "雪の結晶は、どれも六角形をしていますが、同じ形のものは一つもないと言われています。",
        0.95,
        0.003,
        False,
    ),
}


def main() -> None:
    random = np.random.default_rng(7)
    rows = []
    for name, (text, speed, noise, is_telephone) in SPOKEN.items():
        sound, rate_hz = pyopenjtalk.tts(text, speed=speed)
        sound = (0.7 / 32768 * sound).astype(np.float32)
        if is_telephone:
            step = rate_hz // TELEPHONE_HZ
            low_pass = np.sinc(np.arange(-64, 65) / step) * np.hamming(129) / step
            sound, rate_hz = np.convolve(sound, low_pass, "same")[::step], TELEPHONE_HZ
        sound = sound + noise * random.standard_normal(len(sound))
        write_opus(FOLDER / name, sound.astype(np.float32), rate_hz)
        rows.append((name, text, "ja", f"{len(sound) / rate_hz:.2f}", SOURCE, "CC BY 3.0 (voice)"))
    with (FOLDER / "manifest.tsv").open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE, lineterminator="\n")
        lines.writerow(("file", "reference", "lang", "seconds", "source", "license"))
        lines.writerows(rows)


def write_opus(path: Path, sound: np.ndarray, rate_hz: int) -> None:
    """float32, shape (n_samples,), mono, in [-1, 1]."""
    with av.open(str(path), "w", format="ogg") as file:
        stream = file.add_stream("libopus", rate=48_000, layout="mono")
        stream.bit_rate = BITS_PER_SECOND
        frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        frame.rate = rate_hz
        resampler = av.AudioResampler("s16", "mono", 48_000)
        for resampled in (*resampler.resample(frame), *resampler.resample(None)):
            file.mux(stream.encode(resampled))
        file.mux(stream.encode(None))


if __name__ == "__main__":
    main()
