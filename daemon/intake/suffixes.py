"""Media types by the suffix of a file name, for formats whose first bytes do not identify them."""

BY_SUFFIX = {
    f".{suffix}": media_type
    for media_type, suffixes in {
        "application/pdf": "pdf",
        "image/jpeg": "jpg jpeg jpe jfif",
        "image/png": "png",
        "image/gif": "gif",
        "image/webp": "webp",
        "image/bmp": "bmp dib",
        "image/tiff": "tif tiff",
        "image/heic": "heic heif hif",
        "image/avif": "avif",
        "image/jp2": "jp2 j2k jpx",
        "image/x-portable-anymap": "pbm pgm ppm pnm",
        "image/x-tga": "tga",
        "audio/wav": "wav wave",
        "audio/mpeg": "mp3 mp2 mpga m2a mpa",
        "audio/aac": "aac",
        "audio/flac": "flac",
        "audio/ogg": "ogg oga opus spx",
        "audio/mp4": "m4a m4b",
        "audio/aiff": "aif aiff aifc",
        "audio/x-caf": "caf",
        "audio/amr": "amr awb 3ga",
        "audio/ac3": "ac3",
        "audio/eac3": "eac3 ec3",
        "audio/x-ms-wma": "wma",
        "audio/basic": "au snd",
        "audio/g722": "g722 722",
        "audio/x-gsm": "gsm",
        "audio/x-sbc": "sbc msbc",
        "audio/x-latm": "latm loas",
        "audio/x-mlp": "mlp thd",
        "audio/x-dts": "dts dtshd",
        "audio/x-tta": "tta",
        "audio/x-ape": "ape",
        "audio/x-musepack": "mpc",
        "audio/x-tak": "tak",
        "audio/x-shorten": "shn",
        "audio/x-dss": "dss",
        "audio/x-dsf": "dsf",
        "audio/x-dff": "dff",
        "audio/x-voc": "voc",
        "audio/x-oma": "oma aa3",
        "audio/x-nist": "sph nist",
        "video/mp4": "mp4 m4v",
        "video/quicktime": "mov qt",
        "video/3gpp": "3gp 3g2",
        "video/webm": "webm",
        "video/x-matroska": "mkv mka",
        "video/x-msvideo": "avi",
        "video/x-ms-wmv": "wmv asf",
        "video/mp2t": "mts m2ts",
        "video/mpeg": "mpg mpeg vob",
        "video/ogg": "ogv",
        "video/x-flv": "flv",
        "video/x-realmedia": "rm rmvb",
        "video/x-mxf": "mxf",
        "video/x-wtv": "wtv",
        "video/x-dv": "dv dif",
        "video/x-dhav": "dav",
    }.items()
    for suffix in suffixes.split()
}

TEXT_SUFFIXES = frozenset(
    suffix
    for suffixes in (
        "txt text md markdown rst adoc org tex bib csv tsv log srt vtt sub nfo asc diz me",
        "json jsonl ndjson xml xsl dtd yaml yml ini cfg conf properties toml html htm xhtml mht mhtml",
        "eml emlx mbox ics vcf ldif rtf sql css js ts py rb pl php java c h cc cpp hpp cs go rs sh bash bat cmd",
        "ps1 vbs r m lua swift kt diff patch po url reg",
    )
    for suffix in suffixes.split()
)
