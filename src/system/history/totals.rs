//! How many events there were: those that are there, and those that were
//! forgotten. Such a count never shrinks. Points that another machine took are
//! not counted.

use rusqlite::{Connection, Transaction, params};

use super::HistoryError;

/// How many events there were of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// The kind, as [`Kind::as_str`](crate::point::event::Kind::as_str) has it.
    pub kind: String,
    /// What took a point, without its name; what a restore was; else nothing.
    pub of: String,
    /// Whether they went well; nothing where that cannot be said.
    pub good: Option<bool>,
    /// How many.
    pub count: u64,
}

/// What an event is counted by.
const COUNTED: &str = "
    select id, kind,
           coalesce(case kind
               when 'point' then
                   case instr(json_extract(data, '$.trigger'), ':')
                       when 0 then json_extract(data, '$.trigger')
                       else substr(json_extract(data, '$.trigger'), 1,
                                   instr(json_extract(data, '$.trigger'), ':') - 1)
                   end
               when 'restore' then json_extract(data, '$.verb')
           end, '') as type,
           case good when 1 then 'yes' when 0 then 'no' else '' end as good
      from events
     where (kind <> 'point' or not coalesce(json_extract(data, '$.imported'), 0))";

/// All of them.
pub(super) fn read(db: &Connection) -> Result<Vec<Total>, HistoryError> {
    let text = format!(
        "select kind, type, good, count(*) from (
             {COUNTED} and id not in (select id from forgotten)
             union all select id, kind, type, good from forgotten
         ) group by 1, 2, 3 order by 1, 2, 3"
    );
    let mut asked = db.prepare(&text)?;
    let rows = asked.query_map([], |row| {
        let good: String = row.get(2)?;
        let count: i64 = row.get(3)?;
        Ok(Total {
            kind: row.get(0)?,
            of: row.get(1)?,
            good: match good.as_str() {
                "yes" => Some(true),
                "no" => Some(false),
                _ => None,
            },
            count: u64::try_from(count).unwrap_or(0),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Keeps what is counted of events from before a moment, which are about to be
/// forgotten.
pub(super) fn forget(change: &Transaction<'_>, before: i64) -> Result<(), HistoryError> {
    let text =
        format!("insert or ignore into forgotten (id, kind, type, good) {COUNTED} and at < ?1");
    change.execute(&text, params![before])?;
    Ok(())
}
