-- Moments of events are milliseconds since 1970, those of samples seconds;
-- both UTC. A month is its year times 12, plus 0 for January.

create table facts (
    name text primary key,
    value any not null
) without rowid, strict;

insert into facts values ('salt', randomblob(32));
-- Switches from before are not counted: after a damaged database they were
-- counted under another name.
insert into facts values ('born', 0);

create table events (
    id text primary key,
    at integer not null,
    kind text not null,
    what text not null,
    good integer,
    data text
) without rowid, strict;
create index events_at on events (at, id);

-- Switches that were judged: each is counted once.
create table judged (
    id text primary key,
    failed integer not null
) without rowid, strict;

create table traits (
    switch text not null,
    name text not null,
    primary key (switch, name)
) without rowid, strict;

-- A span of 0 is one sample, else the mean of several.
create table samples (
    span integer not null,
    figure text not null,
    at integer not null,
    n integer not null,
    mean real not null,
    low real not null,
    high real not null,
    primary key (span, figure, at)
) without rowid, strict;

-- Counters, which only grow; the origin of this machine itself is ''.
create table heals (
    origin text not null,
    month integer not null,
    issue text not null,
    action text not null,
    attempts integer not null,
    successes integer not null,
    seconds integer not null,
    gain integer not null,
    primary key (origin, month, issue, action)
) without rowid, strict;

create table switches (
    origin text not null,
    month integer not null,
    judged integer not null,
    failed integer not null,
    primary key (origin, month)
) without rowid, strict;
