-- A long article that is begun on the train should go on at home where it was left. Screens differ,
-- so the place is a paragraph and how much of it had been read; one without the other says nothing,
-- so they are one value.
CREATE TYPE article_position AS (
    paragraph integer,
    share_read real
);

COMMENT ON TYPE article_position IS
    'A place in an article: the paragraph, from 1, and the part of it above that place, 0 to 1.';

ALTER TABLE article_states ADD COLUMN stopped_at article_position;

COMMENT ON COLUMN article_states.stopped_at IS
    'Where the reader left off; NULL if not begun, or read to the end.';
