-- What was said of a switch stays counted when something else is said of it
-- later, such as that it could be gone back from after all.
create trigger said_before after update of good on events
when old.kind in ('verdict', 'rollback') and old.good is not null
    and old.good is not new.good
begin
    insert or ignore into forgotten (id, kind, type, good)
    values (old.id || case old.good when 1 then '/yes' else '/no' end,
            old.kind, '', case old.good when 1 then 'yes' else 'no' end);
end;
