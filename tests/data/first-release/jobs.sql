PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
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
        ;
INSERT INTO jobs VALUES('0ef42819-9897-4460-93ab-877d1d6abce1','done.txt','bank','text','text/plain','odd','done',0,1,0,0,0,NULL,0,NULL,2187412,5,1795431637256010917,'8ecc5f94c57b05d6c5e0ee316bee4875427e1845bbeef3ead59df29c72aab36e','fakes.misbehaving','fake','misbehaving','cpu',1795431638118222,1795431638445882,1795431638488413,'done','bank/done','fine','[]',NULL,NULL,NULL,NULL);
INSERT INTO jobs VALUES('827b63a8-8c92-4d48-85ae-67ee05d2f0b3','bad.txt','','text','text/plain','odd','failed',0,1,1,0,0,NULL,0,NULL,2187339,4,1795431638518406090,'1d7a363ce12430881ec56c9cf1409c49c491043618e598c356e2959040872f5a','fakes.misbehaving','fake','misbehaving','cpu',1795431638520680,1795431638541856,1795431638581295,'failed','failed/bad','','[]',NULL,NULL,'bad_input','This file is damaged.');
INSERT INTO jobs VALUES('ee60d977-8d8c-4f0c-9e95-d79ce1d70bd4','staged.txt','','text','text/plain','odd','publishing',0,1,0,0,0,'b4502d5c373f25bf',0,NULL,2187343,5,1795431638604197082,'8ecc5f94c57b05d6c5e0ee316bee4875427e1845bbeef3ead59df29c72aab36e','fakes.misbehaving','fake','misbehaving','cpu',1795431638605217,1795431638618813,NULL,'done','staged','fine','[]',NULL,NULL,NULL,NULL);
INSERT INTO jobs VALUES('ba663f12-6e9d-4e50-9150-d1e6b4a8ec7e','renamed.txt','','text','text/plain','odd','publishing',0,1,0,0,0,'9ad02b226b95509f',0,NULL,2187861,5,1795431638645646886,'8ecc5f94c57b05d6c5e0ee316bee4875427e1845bbeef3ead59df29c72aab36e','fakes.misbehaving','fake','misbehaving','cpu',1795431638648170,1795431638662077,NULL,'done','renamed','fine','[]',NULL,NULL,NULL,NULL);
INSERT INTO jobs VALUES('73e77173-6b35-4212-86b3-32382330165b','running.txt','','text','text/plain','odd','running',0,1,0,0,0,'530ef5a25f482659',0,NULL,2187878,12,1795431638691333002,'14dd2ef4f22ba856ac13ce4e7a5829e25336ad5ee36cd167c8c26eedf6b5cf84','fakes.misbehaving','fake','misbehaving','cpu',1795431638693373,1795431638706822,NULL,NULL,NULL,'','[]',NULL,NULL,NULL,NULL);
INSERT INTO jobs VALUES('a01c2509-0a52-4faa-a34e-439974d9e1fe','cancelled.txt','','text','text/plain','odd','cancelled',0,0,0,0,0,NULL,0,NULL,2187893,5,1795431638733503561,'8ecc5f94c57b05d6c5e0ee316bee4875427e1845bbeef3ead59df29c72aab36e',NULL,NULL,NULL,NULL,1795431638734634,NULL,1795431639021314,'cancelled','failed/cancelled','','[]',NULL,NULL,'cancelled','It was cancelled by command.');
INSERT INTO jobs VALUES('8d21b28e-e66d-4f68-9f25-779edd325be3','queued.txt','','text','text/plain','odd','queued',0,0,0,0,0,NULL,0,NULL,2187563,5,1795431639137299821,'8ecc5f94c57b05d6c5e0ee316bee4875427e1845bbeef3ead59df29c72aab36e',NULL,NULL,NULL,NULL,1795431639141118,NULL,NULL,NULL,NULL,'','[]',NULL,NULL,NULL,NULL);
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
        ;
INSERT INTO attempts VALUES('0ef42819-9897-4460-93ab-877d1d6abce1',1,'fakes.misbehaving','fake','misbehaving','cpu',22744,1795431638445882,1795431638471017,'finished',NULL);
INSERT INTO attempts VALUES('73e77173-6b35-4212-86b3-32382330165b',1,'fakes.misbehaving','fake','misbehaving','cpu',22744,1795431638706822,NULL,NULL,NULL);
INSERT INTO attempts VALUES('827b63a8-8c92-4d48-85ae-67ee05d2f0b3',1,'fakes.misbehaving','fake','misbehaving','cpu',22744,1795431638541856,1795431638576605,'bad_input','This file is damaged.');
INSERT INTO attempts VALUES('ba663f12-6e9d-4e50-9150-d1e6b4a8ec7e',1,'fakes.misbehaving','fake','misbehaving','cpu',22744,1795431638662077,1795431638681554,'finished',NULL);
INSERT INTO attempts VALUES('ee60d977-8d8c-4f0c-9e95-d79ce1d70bd4',1,'fakes.misbehaving','fake','misbehaving','cpu',22744,1795431638618813,1795431638630516,'finished',NULL);
CREATE TABLE events (
            id            INTEGER PRIMARY KEY,
            job           TEXT NOT NULL REFERENCES jobs (id),
            at            INTEGER NOT NULL,
            event         TEXT NOT NULL,               -- the state entered, or 'parked', 'recovered', …
            detail        TEXT
        ) STRICT
        ;
INSERT INTO events VALUES(1,'0ef42819-9897-4460-93ab-877d1d6abce1',1795431638138196,'queued',NULL);
INSERT INTO events VALUES(2,'0ef42819-9897-4460-93ab-877d1d6abce1',1795431638447791,'running, attempt 1',NULL);
INSERT INTO events VALUES(3,'0ef42819-9897-4460-93ab-877d1d6abce1',1795431638471405,'publishing as done','bank/done');
INSERT INTO events VALUES(4,'0ef42819-9897-4460-93ab-877d1d6abce1',1795431638489722,'done','bank/done');
INSERT INTO events VALUES(5,'827b63a8-8c92-4d48-85ae-67ee05d2f0b3',1795431638530388,'queued',NULL);
INSERT INTO events VALUES(6,'827b63a8-8c92-4d48-85ae-67ee05d2f0b3',1795431638542627,'running, attempt 1',NULL);
INSERT INTO events VALUES(7,'827b63a8-8c92-4d48-85ae-67ee05d2f0b3',1795431638576746,'publishing as failed','failed/bad');
INSERT INTO events VALUES(8,'827b63a8-8c92-4d48-85ae-67ee05d2f0b3',1795431638585841,'failed','failed/bad');
INSERT INTO events VALUES(9,'ee60d977-8d8c-4f0c-9e95-d79ce1d70bd4',1795431638617219,'queued',NULL);
INSERT INTO events VALUES(10,'ee60d977-8d8c-4f0c-9e95-d79ce1d70bd4',1795431638619491,'running, attempt 1',NULL);
INSERT INTO events VALUES(11,'ee60d977-8d8c-4f0c-9e95-d79ce1d70bd4',1795431638630627,'publishing as done','staged');
INSERT INTO events VALUES(12,'ba663f12-6e9d-4e50-9150-d1e6b4a8ec7e',1795431638657582,'queued',NULL);
INSERT INTO events VALUES(13,'ba663f12-6e9d-4e50-9150-d1e6b4a8ec7e',1795431638662768,'running, attempt 1',NULL);
INSERT INTO events VALUES(14,'ba663f12-6e9d-4e50-9150-d1e6b4a8ec7e',1795431638681693,'publishing as done','renamed');
INSERT INTO events VALUES(15,'73e77173-6b35-4212-86b3-32382330165b',1795431638702680,'queued',NULL);
INSERT INTO events VALUES(16,'73e77173-6b35-4212-86b3-32382330165b',1795431638707544,'running, attempt 1',NULL);
INSERT INTO events VALUES(17,'a01c2509-0a52-4faa-a34e-439974d9e1fe',1795431638748105,'queued',NULL);
INSERT INTO events VALUES(18,'a01c2509-0a52-4faa-a34e-439974d9e1fe',1795431639012964,'publishing as cancelled','failed/cancelled');
INSERT INTO events VALUES(19,'a01c2509-0a52-4faa-a34e-439974d9e1fe',1795431639022244,'cancelled','failed/cancelled');
INSERT INTO events VALUES(20,'8d21b28e-e66d-4f68-9f25-779edd325be3',1795431639149711,'queued',NULL);
CREATE INDEX jobs_queue ON jobs (recipe, priority DESC, received_at, id) WHERE state = 'queued';
CREATE INDEX jobs_run_at ON jobs (run_at) WHERE state = 'queued';
CREATE INDEX jobs_open ON jobs (state) WHERE state IN ('queued', 'running', 'publishing');
CREATE INDEX jobs_received ON jobs (received_at);
CREATE INDEX jobs_sha256 ON jobs (sha256);
CREATE INDEX events_job ON events (job);
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
        FROM jobs;
COMMIT;
PRAGMA user_version = 1;
