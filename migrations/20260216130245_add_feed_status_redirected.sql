-- One feed in twelve answers "moved permanently" for months, and we fetch it twice each time. It
-- gets a status of its own. The value is alone in its file because it can be used only after it is
-- committed.
ALTER TYPE feed_status ADD VALUE 'redirected' AFTER 'paused';
