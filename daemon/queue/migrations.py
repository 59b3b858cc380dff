"""The tables of jobs.db, as a list of migrations: number n brings a database from `user_version` n to n + 1.

Released migrations never change; a change of the tables is a new one at the end. The view `job_log`, which users query,
only ever gains columns.
"""

MIGRATIONS = (
    (
        """
        CREATE TABLE jobs (
            id            TEXT PRIMARY KEY,
            name          TEXT NOT NULL,               -- printable
            folder        TEXT NOT NULL,               -- relative to the inbox; '' is the top
            kind          TEXT,
            media_type    TEXT NOT NULL,
            recipe        TEXT,
            state         TEXT NOT NULL
                          CHECK (state IN ('queued', 'running', 'publishing', 'done', 'failed', 'cancelled')),
            priority      INTEGER NOT NULL DEFAULT 0,
            attempt       INTEGER NOT NULL DEFAULT 0,
            charged       INTEGER NOT NULL DEFAULT 0,
            interruptions INTEGER NOT NULL DEFAULT 0,
            alone         INTEGER NOT NULL DEFAULT 0,
            lease         TEXT,
            run_at        INTEGER NOT NULL DEFAULT 0,  -- microseconds since the epoch, UTC, as all times here
            waiting_for   TEXT,
            inode         INTEGER NOT NULL,
            size_bytes    INTEGER NOT NULL,
            mtime_ns      INTEGER NOT NULL,
            sha256        TEXT,
            processor     TEXT,
            engine        TEXT,
            model         TEXT,
            device        TEXT,
            received_at   INTEGER NOT NULL,
            started_at    INTEGER,
            finished_at   INTEGER,
            outcome       TEXT,
            result_path   TEXT,                        -- relative to the outbox
            excerpt       TEXT NOT NULL DEFAULT '',
            review        TEXT NOT NULL DEFAULT '[]',  -- JSON array of reasons
            pages         INTEGER,
            media_seconds REAL,
            error_kind    TEXT,
            error         TEXT
        ) STRICT
        """,
        # the queue, in the order in which it is read: 6 times slower with another order here
        "CREATE INDEX jobs_queue ON jobs (recipe, priority DESC, received_at, id) WHERE state = 'queued'",
        "CREATE INDEX jobs_run_at ON jobs (run_at) WHERE state = 'queued'",
        "CREATE INDEX jobs_open ON jobs (state) WHERE state IN ('queued', 'running', 'publishing')",
        "CREATE INDEX jobs_received ON jobs (received_at)",
        "CREATE INDEX jobs_sha256 ON jobs (sha256)",
        """
        CREATE TABLE attempts (
            job           TEXT NOT NULL REFERENCES jobs (id),
            attempt       INTEGER NOT NULL,
            processor     TEXT NOT NULL,
            engine        TEXT,
            model         TEXT,
            device        TEXT,
            worker_pid    INTEGER,
            started_at    INTEGER NOT NULL,
            finished_at   INTEGER,
            outcome       TEXT,                        -- 'finished', a failure kind, 'interrupted' or 'cancelled'
            error         TEXT,
            PRIMARY KEY (job, attempt)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE events (
            id            INTEGER PRIMARY KEY,
            job           TEXT NOT NULL REFERENCES jobs (id),
            at            INTEGER NOT NULL,
            event         TEXT NOT NULL,               -- the state entered, or 'parked', 'recovered', …
            detail        TEXT
        ) STRICT
        """,
        "CREATE INDEX events_job ON events (job)",
        """
        CREATE VIEW job_log AS
        SELECT id,
               CASE folder WHEN '' THEN name ELSE folder || '/' || name END AS file,
               folder, kind, recipe, processor, engine, model, device, state,
               CASE review WHEN '[]' THEN NULL ELSE review END AS review,
               attempt AS attempts,
               strftime('%Y-%m-%dT%H:%M:%fZ', received_at / 1e6, 'unixepoch') AS received_at,
               strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1e6, 'unixepoch') AS started_at,
               strftime('%Y-%m-%dT%H:%M:%fZ', finished_at / 1e6, 'unixepoch') AS finished_at,
               round((started_at - received_at) / 1e6, 3) AS wait_seconds,
               round((finished_at - started_at) / 1e6, 3) AS run_seconds,
               size_bytes, media_seconds, pages, sha256, result_path, error_kind, error,
               media_type, excerpt, waiting_for
        FROM jobs
        """,
    ),
    (
        "ALTER TABLE jobs ADD COLUMN overrides TEXT NOT NULL DEFAULT '{}'",  # JSON: options from beside the file
        "ALTER TABLE jobs ADD COLUMN duplicate_of TEXT",  # the job with the same content whose result it shares
        "CREATE INDEX jobs_finished ON jobs (finished_at, id)",  # for retention
        "DROP VIEW job_log",
        """
        CREATE VIEW job_log AS
        SELECT id,
               CASE folder WHEN '' THEN name ELSE folder || '/' || name END AS file,
               folder, kind, recipe, processor, engine, model, device, state,
               CASE review WHEN '[]' THEN NULL ELSE review END AS review,
               attempt AS attempts,
               strftime('%Y-%m-%dT%H:%M:%fZ', received_at / 1e6, 'unixepoch') AS received_at,
               strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1e6, 'unixepoch') AS started_at,
               strftime('%Y-%m-%dT%H:%M:%fZ', finished_at / 1e6, 'unixepoch') AS finished_at,
               round((started_at - received_at) / 1e6, 3) AS wait_seconds,
               round((finished_at - started_at) / 1e6, 3) AS run_seconds,
               size_bytes, media_seconds, pages, sha256, result_path, error_kind, error,
               media_type, excerpt, waiting_for, duplicate_of
        FROM jobs
        """,
    ),
    (
        # the queue by size: workers reserve a place for small files
        "CREATE INDEX jobs_queue_size ON jobs (recipe, size_bytes) WHERE state = 'queued'",
    ),
    (
        # AUTOINCREMENT: the number of a removed event is never reused, so that readers can store it
        """
        CREATE TABLE numbered_events (
            id            INTEGER PRIMARY KEY AUTOINCREMENT,
            job           TEXT NOT NULL REFERENCES jobs (id),
            at            INTEGER NOT NULL,
            event         TEXT NOT NULL,               -- the state entered, or 'parked', 'recovered', …
            detail        TEXT
        ) STRICT
        """,
        "INSERT INTO numbered_events SELECT id, job, at, event, detail FROM events ORDER BY id",
        "DROP TABLE events",
        "ALTER TABLE numbered_events RENAME TO events",
        "CREATE INDEX events_job ON events (job)",
        # one row: identifies this job log and its copies
        "CREATE TABLE log_identity (id TEXT NOT NULL) STRICT",
        "INSERT INTO log_identity VALUES (lower(hex(randomblob(16))))",
    ),
    (
        "ALTER TABLE jobs ADD COLUMN source TEXT NOT NULL DEFAULT 'inbox'",  # 'inbox': dropped; else who submitted it
        "DROP VIEW job_log",
        """
        CREATE VIEW job_log AS
        SELECT id,
               CASE folder WHEN '' THEN name ELSE folder || '/' || name END AS file,
               folder, kind, recipe, processor, engine, model, device, state,
               CASE review WHEN '[]' THEN NULL ELSE review END AS review,
               attempt AS attempts,
               strftime('%Y-%m-%dT%H:%M:%fZ', received_at / 1e6, 'unixepoch') AS received_at,
               strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1e6, 'unixepoch') AS started_at,
               strftime('%Y-%m-%dT%H:%M:%fZ', finished_at / 1e6, 'unixepoch') AS finished_at,
               round((started_at - received_at) / 1e6, 3) AS wait_seconds,
               round((finished_at - started_at) / 1e6, 3) AS run_seconds,
               size_bytes, media_seconds, pages, sha256, result_path, error_kind, error,
               media_type, excerpt, waiting_for, duplicate_of, source
        FROM jobs
        """,
    ),
    (
        "ALTER TABLE jobs ADD COLUMN reviewed_at INTEGER",  # when a person closed the review
        # lists of jobs: those that are rare, and the history by name
        "CREATE INDEX jobs_ended_badly ON jobs (state, received_at, id) WHERE state IN ('failed', 'cancelled')",
        "CREATE INDEX jobs_to_review ON jobs (received_at, id) WHERE review <> '[]'",
        "CREATE INDEX jobs_listed ON jobs (received_at, id, folder, name, recipe)",
        "DROP VIEW job_log",
        """
        CREATE VIEW job_log AS
        SELECT id,
               CASE folder WHEN '' THEN name ELSE folder || '/' || name END AS file,
               folder, kind, recipe, processor, engine, model, device, state,
               CASE review WHEN '[]' THEN NULL ELSE review END AS review,
               attempt AS attempts,
               strftime('%Y-%m-%dT%H:%M:%fZ', received_at / 1e6, 'unixepoch') AS received_at,
               strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1e6, 'unixepoch') AS started_at,
               strftime('%Y-%m-%dT%H:%M:%fZ', finished_at / 1e6, 'unixepoch') AS finished_at,
               round((started_at - received_at) / 1e6, 3) AS wait_seconds,
               round((finished_at - started_at) / 1e6, 3) AS run_seconds,
               size_bytes, media_seconds, pages, sha256, result_path, error_kind, error,
               media_type, excerpt, waiting_for, duplicate_of, source,
               strftime('%Y-%m-%dT%H:%M:%fZ', reviewed_at / 1e6, 'unixepoch') AS reviewed_at
        FROM jobs
        """,
    ),
    (
        "ALTER TABLE jobs ADD COLUMN node TEXT",  # of the cluster; NULL: the daemon's machine
        "ALTER TABLE attempts ADD COLUMN node TEXT",
        "DROP VIEW job_log",
        """
        CREATE VIEW job_log AS
        SELECT id,
               CASE folder WHEN '' THEN name ELSE folder || '/' || name END AS file,
               folder, kind, recipe, processor, engine, model, device, state,
               CASE review WHEN '[]' THEN NULL ELSE review END AS review,
               attempt AS attempts,
               strftime('%Y-%m-%dT%H:%M:%fZ', received_at / 1e6, 'unixepoch') AS received_at,
               strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1e6, 'unixepoch') AS started_at,
               strftime('%Y-%m-%dT%H:%M:%fZ', finished_at / 1e6, 'unixepoch') AS finished_at,
               round((started_at - received_at) / 1e6, 3) AS wait_seconds,
               round((finished_at - started_at) / 1e6, 3) AS run_seconds,
               size_bytes, media_seconds, pages, sha256, result_path, error_kind, error,
               media_type, excerpt, waiting_for, duplicate_of, source,
               strftime('%Y-%m-%dT%H:%M:%fZ', reviewed_at / 1e6, 'unixepoch') AS reviewed_at,
               node
        FROM jobs
        """,
    ),
)
