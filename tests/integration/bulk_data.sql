-- A million tasks, and as much of everything else as makes reading all of it noticeable.
-- {BIG} has every fifth task; a thousand others share the rest. Run without the secondary indexes.

INSERT INTO account
SELECT CASE n WHEN 0 THEN '{BIG}' ELSE 'small-' || n END, 'UTC', gen_random_uuid(), 1000000, '\x00', now()
FROM generate_series(0, 100000) AS n;

INSERT INTO list
SELECT gen_random_uuid(), 'small-' || n % 1000, 'List ' || n, n, now(), now(), 1
FROM generate_series(1, 100000) AS n;

INSERT INTO list VALUES ('{LIST}', '{BIG}', 'Large', 1, now(), now(), 1);

INSERT INTO list_share SELECT id, 'reader-' || random(), 'read', now() FROM list;

INSERT INTO list_share VALUES ('{LIST}', '{GUEST}', 'write', now());

INSERT INTO task (
    id, owner, list_id, parent_id, title, priority, tags, due_at, due_zone, due_key, recurrence_from,
    reminders, position, completed_at, created_at, updated_at, version, words)
SELECT
    ('00000000-0000-7000-9000-' || lpad(to_hex(n), 12, '0'))::uuid,
    CASE WHEN n % 5 = 0 THEN '{BIG}' ELSE 'small-' || n % 1000 END,
    CASE WHEN n % 20 = 0 THEN uuid '{LIST}' END,
    CASE WHEN n % 250 = 0 THEN uuid '{PARENT}' END,
    'chore c' || n % 1000 || CASE WHEN n % 10000 = 0 THEN ' {RARE}' ELSE '' END,
    n % 3,
    CASE WHEN n % 10 = 0 THEN '["{TAG}"]' ELSE '[]' END::json,
    CASE WHEN n % 7 = 0 THEN at END,
    CASE WHEN n % 7 = 0 THEN 'UTC' END,
    CASE WHEN n % 7 = 0 THEN at ELSE '9999-12-31 00:00Z' END,
    'schedule', '[]', n,
    CASE WHEN n % 4 > 0 THEN at END,
    at, at, 1,
    ' chore c' || n % 1000 || CASE WHEN n % 10000 = 0 THEN ' {RARE}' ELSE '' END || ' §' || left(
        encode(sha256(convert_to(
            CASE WHEN n % 5 = 0 THEN '{BIG}' ELSE 'small-' || n % 1000 END, 'UTF8')), 'hex'), 32) || ' '
FROM (
    SELECT n, timestamptz '2024-01-01 00:00Z' + n * interval '1 minute' AS at
    FROM generate_series(1, 1000000) AS n) AS numbered;

INSERT INTO task (
    id, owner, title, priority, tags, due_key, recurrence_from, reminders, position, created_at,
    updated_at, version, words)
VALUES (
    '{PARENT}', '{BIG}', 'Above', 0, '[]', '9999-12-31 00:00Z', 'schedule', '[]', 0, now(), now(), 1,
    ' above § ');

INSERT INTO task_tag SELECT owner, '{TAG}', id FROM task WHERE tags::text <> '[]';

INSERT INTO task_tag
SELECT 'small-' || n % 1000, 'tag-' || n, '{PARENT}' FROM generate_series(1, 100000) AS n;

INSERT INTO reminder SELECT id, due_at, owner FROM task WHERE due_at IS NOT NULL;

INSERT INTO journal (
    owner, seq, at, actor, run_id, operation, kind, entity_id, list_id, after, salt, commitment, hash)
SELECT
    owner, row_number() OVER (PARTITION BY owner ORDER BY id), created_at, owner,
    CASE WHEN position::int % 2 = 0 THEN '{RUN}' END,
    'create', 'task', id::text, list_id, row_to_json(task)::text, '\x00', '\x00', '\x00'
FROM task WHERE position BETWEEN 1 AND 200000;

INSERT INTO idempotency
SELECT 'small-' || n % 1000, 'key-' || n, '\x00', now() FROM generate_series(1, 100000) AS n;

INSERT INTO api_token (
    id, owner, name, hash, scopes, require_key, require_match, writes, created_at)
SELECT
    gen_random_uuid(), 'small-' || n % 1000, 'Token', '\x00', 'read', false, false, 0, now()
FROM generate_series(1, 100000) AS n;

INSERT INTO plan (
    id, owner, run_id, operations, changes, summary, expected, created_at, expires_at, applied_at)
SELECT
    gen_random_uuid(), CASE WHEN n % 1000 = 0 THEN '{BIG}' ELSE 'small-' || n % 1000 END, 'plan',
    '[]', '[]', '[]', '[]', at, at + interval '1 hour', CASE WHEN n % 3 = 0 THEN at END
FROM (
    SELECT n, now() - n * interval '10 seconds' AS at
    FROM generate_series(1, 100000) AS n) AS numbered;

INSERT INTO conversation
SELECT
    gen_random_uuid(), CASE WHEN n % 1000 = 0 THEN '{BIG}' ELSE 'small-' || n % 1000 END, NULL,
    'Conversation', NULL, 4096, now(), now()
FROM generate_series(1, 100000) AS n;

INSERT INTO conversation VALUES ('{LIST}', '{BIG}', NULL, 'Large', NULL, 4096, now(), now());

INSERT INTO message
SELECT
    gen_random_uuid(), id, 'user', 'done', 'A question', '[]', NULL, false, NULL, NULL, 0, 0, now()
FROM conversation;

INSERT INTO message
SELECT
    gen_random_uuid(), '{LIST}', 'assistant', 'done', 'An answer', '[]', NULL, false, NULL, NULL, 0, 0,
    now()
FROM generate_series(1, 50000) AS n;

INSERT INTO token_cutoff
SELECT 'gone-' || n, timestamptz '2024-01-01 00:00Z' + n * interval '1 minute'
FROM generate_series(1, 3000) AS n;
