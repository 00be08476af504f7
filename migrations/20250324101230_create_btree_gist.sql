-- Quiet hours of one reader must not overlap, those of two readers may. An exclusion constraint can
-- say so if one index holds the account beside the span, and for that it needs this extension.
CREATE EXTENSION btree_gist;
