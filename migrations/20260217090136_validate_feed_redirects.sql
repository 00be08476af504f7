-- Second half of the rule about redirected feeds: no feed can break it, since none is redirected
-- yet. Feeds stay readable and writable while the server makes sure.
ALTER TABLE feeds VALIDATE CONSTRAINT feeds_redirected_check;
