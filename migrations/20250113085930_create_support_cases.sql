-- Mails to support were lost in one shared mailbox. A case has a number that can be read out on the
-- telephone, from 100,000 on and in steps of seven: how many cases we have is nobody's business.
-- Only a case that changes counts as changed; the form saves also when nothing was typed.
CREATE SEQUENCE support.cases_number_seq START WITH 100000 INCREMENT BY 7;

CREATE TABLE support.cases (
    number bigint NOT NULL DEFAULT nextval('support.cases_number_seq') CONSTRAINT cases_pkey PRIMARY KEY,
    account_id bigint CONSTRAINT cases_account_id_fkey REFERENCES public.accounts ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    subject text NOT NULL,
    question text NOT NULL,
    answer text,
    CONSTRAINT cases_answered_check CHECK (closed_at IS NULL OR answer IS NOT NULL)
);

ALTER SEQUENCE support.cases_number_seq OWNED BY support.cases.number;

COMMENT ON TABLE support.cases IS
    'One row per question to support; kept without its account when that is closed.';

CREATE INDEX cases_account_id_idx ON support.cases (account_id);

CREATE TRIGGER cases_set_updated_at
    BEFORE UPDATE ON support.cases
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION public.set_updated_at();

GRANT SELECT, INSERT, UPDATE (closed_at, answer) ON support.cases TO reader_app;
GRANT USAGE ON SEQUENCE support.cases_number_seq TO reader_app;
GRANT SELECT ON support.cases TO reader_readonly;
