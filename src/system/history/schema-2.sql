-- What is left of events that were forgotten, so that a count of them never
-- shrinks. What has a file of its own may be put, and forgotten, again.
create table forgotten (
    id text primary key,
    kind text not null,
    type text not null,
    good text not null
) without rowid, strict;
